package export_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/telemetry"
)

// someCSV is a small export: a record of imu and one of note.
func someCSV() string {
	boot := telemetry.Boot{1}.String()
	imuRow := "rover," + boot + ",normal,1,1000,1000,0,none,imu," + imu.ID().String() + ",reading,"
	return strings.Join([]string{
		"device,boot,class,seq,time_ns,wall_ns,mono_ns,severity,layout,layout_id,kind,field,element,type,unit,value",
		imuRow + "accel,0,float32,m/s2,-0",
		imuRow + "accel,1,float32,m/s2,nan:0x7f800001",
		imuRow + "accel,2,float32,m/s2,-inf",
		imuRow + "temp,,float32,Cel,21.5",
		"rover," + boot + ",normal,2,,,,,,,,,,missing,,3",
		"rover," + boot + ",normal,5,1010,1010,10,error,note," + note.ID().String() + `,event,text,,string,,"hit, ""hard"""`,
	}, "\n") + "\n"
}

// readCSV returns how many records a file has, and the first error.
func readCSV(file string) (n int, missing uint64, err error) {
	r, err := export.NewCSVReader(strings.NewReader(file))
	if err != nil {
		return 0, 0, err
	}
	for ; ; n++ {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, r.Missing(), nil
		}
		if err == nil {
			err = e.Record.Check()
		}
		if err != nil {
			return n, r.Missing(), err
		}
	}
}

func TestCSVReader(t *testing.T) {
	good := someCSV()
	if n, missing, err := readCSV(good); n != 2 || missing != 3 || err != nil {
		t.Fatalf("%d records, %d missing, %v", n, missing, err)
	}
	if n, _, err := readCSV(strings.ReplaceAll(good, "\n", "\r\n")); n != 2 || err != nil {
		t.Errorf("with the line ends of Windows: %d records, %v", n, err)
	}
	for _, tt := range []struct {
		name, old, new string
		want           error
	}{
		{"empty", good, "", export.ErrFormat},
		{"another head", "device,boot", "boot,device", export.ErrFormat},
		{"device", "rover", "Rover", export.ErrFormat},
		{"long boot", ",normal,1,", "00,normal,1,", export.ErrFormat},
		{"class", ",normal,1,", ",usual,1,", export.ErrFormat},
		{"number", ",normal,1,", ",normal,-1,", export.ErrFormat},
		{"time", ",1000,1000,", ",1000,1e3,", export.ErrFormat},
		{"severity", ",error,", ",bad,", export.ErrFormat},
		{"kind", ",event,", ",things,", export.ErrFormat},
		{"kind of another layout", ",event,", ",health,", export.ErrPartial},
		{"float", ",21.5", ",warm", export.ErrFormat},
		{"float32 of too many bits", "nan:0x7f800001", "nan:0x7f8000010", export.ErrFormat},
		{"too few columns", ",21.5", "", export.ErrFormat},
		{"too many columns", ",21.5", ",21.5,x", export.ErrFormat},
		{"open quote", `hard"""`, `hard`, export.ErrFormat},
		{"missing without a number", ",missing,,3", ",missing,,some", export.ErrFormat},
		{"odd hex", `"hit, ""hard"""`, "hex:f", export.ErrFormat},
		{"long line", "hit", strings.Repeat("x", 300<<10), export.ErrFormat},
		{"long string", "hit", strings.Repeat("x", 65<<10), export.ErrFormat},
		{"element left out", strings.Split(good, "\n")[2] + "\n", "", export.ErrPartial},
		{"lines exchanged", "temp,,float32,Cel", "tamp,,float32,Cel", export.ErrPartial},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%s: %q is not in the file", tt.name, tt.old)
		}
		if n, _, err := readCSV(strings.ReplaceAll(good, tt.old, tt.new)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %d records, %v, want %v", tt.name, n, err, tt.want)
		}
	}
}

func FuzzCSVReader(f *testing.F) {
	f.Add([]byte(someCSV()))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := export.NewCSVReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		for {
			e, err := r.Next()
			switch {
			case errors.Is(err, export.ErrPartial):
				continue
			case err != nil:
				return
			}
			if err := e.Record.Check(); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
		}
	})
}
