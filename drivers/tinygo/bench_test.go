package tinygo_test

import (
	"testing"

	"tinygo.org/x/drivers/bmp388"
	"tinygo.org/x/drivers/ina219"
	"tinygo.org/x/drivers/lsm6ds3"
	"tinygo.org/x/drivers/mpu6050"
	"tinygo.org/x/drivers/pca9685"
	"tinygo.org/x/drivers/vl53l1x"

	"github.com/fulmar-io/fulmar/drivers/imu"
	"github.com/fulmar-io/fulmar/drivers/power"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// A reading by the drivers as they are, over the adapter, on a bus that takes no time; and by ours of the same chip. The
// figures of docs/hardware.md.
func BenchmarkReading(b *testing.B) {
	narrow := func() *haltest.Registers { return haltest.NewRegisters(haltest.Layout{Registers: 256}) }
	run := func(name string, bus *tinygo.Bus, read func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := bus.Transactions()
			for b.Loop() {
				if err := bus.Do(100, read); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(bus.Transactions()-before)/float64(b.N), "transactions/op")
		})
	}
	{
		bus := tinygo.NewBus(narrow().I2C(), mpu6050.Address)
		d := mpu6050.New(bus)
		run("mpu6050", bus, func() error { d.ReadAcceleration(); d.ReadRotation(); return nil })
	}
	{
		bus := tinygo.NewBus(narrow().I2C(), lsm6ds3.Address)
		d := lsm6ds3.New(bus)
		run("lsm6ds3", bus, func() error {
			if _, _, _, err := d.ReadAcceleration(); err != nil {
				return err
			}
			_, _, _, err := d.ReadRotation()
			return err
		})
	}
	{
		chip := narrow()
		chip.Set(0, 0x50)
		bus := tinygo.NewBus(chip.I2C(), uint16(bmp388.Address))
		d := bmp388.New(bus)
		d.Config.Mode = bmp388.Normal
		run("bmp388", bus, func() error {
			if _, err := d.ReadTemperature(); err != nil {
				return err
			}
			_, err := d.ReadPressure()
			return err
		})
	}
	{
		bus := tinygo.NewBus(haltest.NewRegisters(haltest.Layout{Registers: 6, Width: 2, Fixed: true}).I2C(), ina219.Address)
		d := ina219.New(bus)
		run("ina219", bus, func() error { _, _, _, _, err := d.Measurements(); return err })
	}
	{
		bus := tinygo.NewBus(haltest.NewRegisters(haltest.Layout{Registers: 0x200, AddressBytes: 2}).I2C(), vl53l1x.Address)
		d := vl53l1x.New(bus)
		run("vl53l1x", bus, func() error { d.Read(false); return nil })
	}
	{
		bus := tinygo.NewBus(narrow().I2C(), 0x40)
		d := pca9685.New(bus, 0x40)
		run("pca9685", bus, func() error { d.Set(1, 100); return nil })
	}
	b.Run("ours/mpu6050", func(b *testing.B) {
		chip := narrow()
		chip.Set(0x75, 0x68)
		chip.OnRead = func(register int) { chip.Set(0x3A, 1) }
		d, err := imu.OpenMPU6050(chip.I2C(), imu.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, fresh, err := d.Read(); !fresh || err != nil {
				b.Fatal(fresh, err)
			}
		}
	})
	b.Run("ours/ina219", func(b *testing.B) {
		chip := haltest.NewRegisters(haltest.Layout{Registers: 6, Width: 2, Fixed: true})
		chip.OnWrite = func(_ int, v uint16) uint16 {
			if v&0x8000 != 0 {
				return 0x399F
			}
			return v
		}
		d, err := power.OpenINA219(chip.I2C(), power.Config{ShuntOhm: 0.1, MaxCurrentA: 1})
		if err != nil {
			b.Fatal(err)
		}
		chip.Set(2, 1000<<3|2)
		b.ReportAllocs()
		for b.Loop() {
			if _, fresh, err := d.Read(); !fresh || err != nil {
				b.Fatal(fresh, err)
			}
		}
	})
}
