package seglog

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/fulmar-io/fulmar/env"
)

const (
	// maxOpenSegments bounds the file handles and the index points kept in memory.
	maxOpenSegments = 128
	// pointStride is how far apart in a file the index points are, in bytes.
	pointStride = 64 << 10
)

// A segment is one file of the log. What does not change is set when it is made; first, id, name never do.
type segment struct {
	first uint64
	id    uint64
	name  string
	size  atomic.Int64 // bytes that are written and may be read
	end   uint64       // first index of the next segment; maxIndex for the last. Guarded by Log.mu.
	// dirty says that it was written to since a Sync last took it up, syncing that one is at it, pinned that the writer
	// keeps its file open. Guarded by Log.mu.
	dirty, syncing, pinned bool

	// Guarded by files.mu.
	file   env.File
	refs   int
	used   uint64
	points []point // ascending; where some records lie
	gone   bool    // close with the last reference
}

const maxIndex = ^uint64(0)

// A point says where a record's header lies.
type point struct {
	index uint64
	off   int64
}

// files opens the files of segments when they are needed and closes those that were not for long. Readers and the writer
// share the handles.
type files struct {
	disk env.Disk
	dir  string

	mu   sync.Mutex
	open []*segment
	tick uint64
}

// acquire returns the segment's file, which stays open until release.
func (c *files) acquire(s *segment) (env.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.file == nil {
		f, err := c.disk.OpenFile(join(c.dir, s.name), false)
		if err != nil {
			return nil, failed("open", s.name, err)
		}
		c.adopt(s, f)
	}
	c.tick++
	s.used = c.tick
	s.refs++
	return s.file, nil
}

// adopt takes over an open file. Called under mu, or before anyone else knows s.
func (c *files) adopt(s *segment, f env.File) {
	s.file = f
	c.open = append(c.open, s)
	if len(c.open) <= maxOpenSegments {
		return
	}
	oldest := -1
	for i, o := range c.open {
		if o.refs == 0 && o != s && (oldest < 0 || o.used < c.open[oldest].used) {
			oldest = i
		}
	}
	if oldest >= 0 {
		c.drop(oldest)
	}
}

// drop closes a file and forgets what was learnt about it.
func (c *files) drop(i int) {
	s := c.open[i]
	_ = s.file.Close()
	s.file, s.points = nil, nil
	c.open[i] = c.open[len(c.open)-1]
	c.open = c.open[:len(c.open)-1]
}

func (c *files) release(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.refs--
	if s.gone && s.refs == 0 {
		c.forget(s)
	}
}

// discard closes the file as soon as nobody uses it; the segment is no part of the log any more.
func (c *files) discard(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.gone = true
	if s.refs == 0 {
		c.forget(s)
	}
}

func (c *files) forget(s *segment) {
	for i, o := range c.open {
		if o == s {
			c.drop(i)
			return
		}
	}
}

// closeAll closes what nobody uses now, and lets the rest be closed by whoever does.
func (c *files) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.open) - 1; i >= 0; i-- {
		c.open[i].gone = true
		if c.open[i].refs == 0 {
			c.drop(i)
		}
	}
}

// near returns the last known point at or before index; false if there is none.
func (c *files) near(s *segment, index uint64) (point, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].index > index })
	if i == 0 {
		return point{}, false
	}
	return s.points[i-1], true
}

// learn keeps a point if it is far enough from those known. Called under mu.
func (c *files) learn(s *segment, index uint64, off int64) {
	i := len(s.points)
	if i > 0 && s.points[i-1].index >= index {
		i = sort.Search(i, func(i int) bool { return s.points[i].index >= index })
	}
	if i > 0 && off < s.points[i-1].off+pointStride || i < len(s.points) && off > s.points[i].off-pointStride {
		return
	}
	s.points = slices.Insert(s.points, i, point{index, off})
}

func join(dir, name string) string {
	if dir == "." || dir == "" {
		return name
	}
	return dir + "/" + name
}
