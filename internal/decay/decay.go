package decay

import (
	"fmt"

	"github.com/fulmar-io/fulmar/env/simdisk"
)

// Field is all the files in some folders.
type Field struct {
	files []file
	bytes uint64
}

type file struct {
	name string
	size uint64
}

// Of looks at what is in the folders of a disk. A simulated disk does not list the folders in a folder.
func Of(disk *simdisk.Disk, dirs ...string) (*Field, error) {
	f := new(Field)
	for _, dir := range dirs {
		entries, err := disk.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("decay: %w", err)
		}
		for _, e := range entries {
			f.files = append(f.files, file{dir + "/" + e.Name, uint64(e.Size)})
			f.bytes += uint64(e.Size)
		}
	}
	if f.bytes == 0 {
		return nil, fmt.Errorf("decay: nothing is in %q", dirs)
	}
	return f, nil
}

// Bits is how many bits can be flipped.
func (f *Field) Bits() uint64 { return 8 * f.bytes }

// Cuts is at how many places a file can be cut.
func (f *Field) Cuts() uint64 { return f.bytes }

// scatter is a prime above any number of places, so that its multiples visit each place once.
const scatter = 2_147_483_647

func (f *Field) at(byteAt uint64) (name string, off uint64) {
	for _, file := range f.files {
		if byteAt < file.size {
			return file.name, byteAt
		}
		byteAt -= file.size
	}
	panic("decay: no such place")
}

// Flip flips the bit of a number below Bits, and says which that is.
func (f *Field) Flip(disk *simdisk.Disk, n uint64) (where string, err error) {
	bit := n * scatter % f.Bits()
	name, off := f.at(bit / 8)
	return fmt.Sprintf("%s, byte %d, bit %d", name, off, bit%8), disk.FlipBit(name, int64(8*off+bit%8))
}

// Cut cuts a file at the place of a number below Cuts, and says where.
func (f *Field) Cut(disk *simdisk.Disk, n uint64) (where string, err error) {
	name, off := f.at(n * scatter % f.bytes)
	return fmt.Sprintf("%s, cut at byte %d", name, off), disk.SetFile(name, disk.File(name)[:off])
}
