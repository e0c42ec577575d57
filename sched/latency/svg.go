package latency

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"time"
)

// A Panel is one diagram: the distributions of several loops under one load.
type Panel struct {
	Title  string
	Curves []Curve
}

// A Curve is the distribution of one loop.
type Curve struct {
	Name string
	Late Distribution
}

// The size of a panel, in pixels, and of what surrounds its diagram.
const (
	panelWidth, panelHeight       = 620, 380
	left, right, above, underfoot = 64, 16, 36, 48
)

// The axes: lateness from 100 ns to 100 ms, and the share of releases that were later, from all to one in a million.
const (
	leastLate, decadesLate   = 100 * time.Nanosecond, 6
	leastShare, decadesShare = 1e-6, 6
)

// The colours of the curves, told apart by all who see, on white.
var colours = []string{"#0072b2", "#d55e00", "#7f7f7f", "#009e73", "#cc79a7"}

// WriteSVG draws panels side by side, two in a row: for each lateness the share of releases that began later, both axes
// logarithmic.
func WriteSVG(w io.Writer, panels []Panel) error {
	var b bytes.Buffer
	columns := min(len(panels), 2)
	rows := (len(panels) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		columns*panelWidth, rows*panelHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%2*panelWidth, i/2*panelHeight)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func xOf(d time.Duration) float64 {
	decade := math.Log10(float64(max(d, leastLate)) / float64(leastLate))
	return left + (panelWidth-left-right)*min(decade, decadesLate)/decadesLate
}

func yOf(share float64) float64 {
	decade := -math.Log10(max(share, leastShare))
	return above + (panelHeight-above-underfoot)*decade/decadesShare
}

func (p Panel) draw(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text x="%d" y="22" font-size="14" font-weight="bold">%s</text>`+"\n", left, p.Title)
	bottom := yOf(leastShare)
	for i := range decadesLate + 1 {
		d := leastLate * time.Duration(math.Pow10(i))
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
			xOf(d), xOf(d), above, bottom, xOf(d), bottom+16, d)
	}
	for i := range decadesShare + 1 {
		share := math.Pow10(-i)
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, panelWidth-right, yOf(share), yOf(share), left-6, yOf(share)+4, share)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="middle">a release is served later than this</text>`+"\n", (left+panelWidth-right)/2, bottom+36)
	fmt.Fprintf(b, `<text transform="translate(14,%d) rotate(-90)" text-anchor="middle">share of releases</text>`+"\n", (above+int(bottom))/2)
	for i, c := range p.Curves {
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.6" points="`, colour)
		c.Late.draw(b)
		b.WriteString(`"/>` + "\n")
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="%s">%s</text>`+"\n", panelWidth-right-8, above+18+16*i, colour, c.Name)
	}
}

// draw writes the points at which the curve is a pixel further on.
func (d Distribution) draw(b *bytes.Buffer) {
	lastX, lastY := -1.0, -1.0
	for i, late := range d {
		x, y := xOf(late), yOf(float64(len(d)-i)/float64(len(d)))
		if math.Abs(x-lastX) >= 1 || math.Abs(y-lastY) >= 1 || i == len(d)-1 {
			fmt.Fprintf(b, "%.1f,%.1f ", x, y)
			lastX, lastY = x, y
		}
	}
}
