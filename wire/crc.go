package wire

// crcSize is how many bytes the checksum of a frame takes.
const crcSize = 4

// castagnoli has the CRC-32C of each half of a byte. Sixteen entries are 64 bytes of a microcontroller's flash, and are
// faster than any line here is; a table for whole bytes would be 1 KiB, or code that makes it at start.
var castagnoli = [16]uint32{
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
}

// CRC returns the CRC-32C of b.
func CRC(b []byte) uint32 { return UpdateCRC(0, b) }

// UpdateCRC returns the CRC-32C of what crc is the checksum of, followed by b. That of nothing is 0.
func UpdateCRC(crc uint32, b []byte) uint32 {
	crc = ^crc
	for _, c := range b {
		crc ^= uint32(c)
		crc = crc>>4 ^ castagnoli[crc&15]
		crc = crc>>4 ^ castagnoli[crc&15]
	}
	return ^crc
}
