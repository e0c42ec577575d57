package tinygo_test

import (
	"testing"

	"tinygo.org/x/drivers/bmp388"
	"tinygo.org/x/drivers/ina219"
	"tinygo.org/x/drivers/mcp9808"
	"tinygo.org/x/drivers/mpu6050"
	"tinygo.org/x/drivers/pca9685"
	"tinygo.org/x/drivers/vl53l1x"

	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// What docs/hardware.md says of the drivers in v0.37.0. Where a line of this fails after an update, the driver was mended there,
// and that page, and what works around it, are to be looked at again.
func TestUpstreamIsAsDocumented(t *testing.T) {
	narrow := func() *haltest.Registers { return haltest.NewRegisters(haltest.Layout{Registers: 256}) }
	is := func(what string, so bool) {
		t.Helper()
		if !so {
			t.Errorf("no more: %s", what)
		}
	}

	chip := narrow()
	imu := mpu6050.New(tinygo.NewBus(chip.I2C(), mpu6050.Address))
	_ = imu.SetFullScaleAccelRange(mpu6050.AFS_RANGE_8G)
	is("mpu6050 writes a range into bits 1:0, not 4:3", chip.Get(mpu6050.ACCEL_CONFIG) == 2)
	chip.SetBytes(mpu6050.ACCEL_XOUT_H, 0x40, 0)
	x, _, _ := imu.ReadAcceleration()
	is("mpu6050 reads as at 2 g in any range", x == 1000000)

	silent, _ := broken(t, narrow().I2C(), haltest.Fault{Trouble: haltest.Silent, For: 3}, haltest.Fault{Trouble: haltest.Answered, Match: []byte{0}, Answer: []byte{0x50}})
	baro := bmp388.New(tinygo.NewBus(silent, uint16(bmp388.Address)))
	is("bmp388 configures without an error where three writes were not acknowledged", baro.Configure(bmp388.Config{Mode: bmp388.Normal}) == nil)

	wide := haltest.NewRegisters(haltest.Layout{Registers: 6, Width: 2, Fixed: true})
	wide.Set(int(ina219.RegBusVoltage), 6000<<3|2) // 24 V
	monitor := ina219.New(tinygo.NewBus(wide.I2C(), ina219.Address))
	mv, err := monitor.BusVoltage()
	is("ina219 reads 24 V as less than nothing", mv == 24000-32768 && err == nil)
	// 1 A through 0.1 Ω are 10000 steps of shunt voltage; the chip's current is that times the calibration by 4096.
	c := ina219.Config32V2A
	is("ina219 reads 1 A as 2 A", float64(10000*int(c.Calibration)/4096)/float64(c.CurrentDivider) == 2000)

	far := haltest.NewRegisters(haltest.Layout{Registers: 0x200, AddressBytes: 2})
	far.SetBytes(vl53l1x.WHO_AM_I, 0xEA, 0xCC)
	far.SetBytes(vl53l1x.FIRMWARE_SYSTEM_STATUS, 1)
	far.SetBytes(vl53l1x.OSC_MEASURED_FAST_OSC_FREQUENCY, 0xBC, 0xCC)
	tof := vl53l1x.New(tinygo.NewBus(far.I2C(), vl53l1x.Address))
	if !tof.Configure(true) {
		t.Fatal("the model of the vl53l1x does not start")
	}
	is("vl53l1x has a budget of more than a second where it was set to 50 ms", tof.GetMeasurementTimingBudget() > 1000000)
	gone, _ := broken(t, far.I2C(), haltest.Fault{Trouble: haltest.Gone})
	tof = vl53l1x.New(tinygo.NewBus(gone, vl53l1x.Address))
	is("vl53l1x does not wait on a bus that is gone, and says nothing", tof.Read(true) == 0)

	chip = narrow()
	bus := tinygo.NewBus(chip.I2C(), 0x40)
	pulses := pca9685.New(bus, 0x40)
	pulses.Set(0, pulses.Top()/4)
	on, off := chip.Get(6)|chip.Get(7)<<8, chip.Get(8)|chip.Get(9)<<8
	is("pca9685 puts out three quarters where a quarter is set", (off-on)&0xFFF > 3000)
	if err := pulses.SetPeriod(20_000_000); err != nil {
		t.Fatal(err)
	}
	is("pca9685 makes 20.8 ms of 20 ms", chip.Get(int(pca9685.PRESCALE)) == 126)

	wide = haltest.NewRegisters(haltest.Layout{Registers: 9, Width: 2, Fixed: true})
	wide.Set(5, 0x1FF8) // −0.5 °C
	wide.Set(6, 0x0054)
	wide.Set(7, 0x0400)
	thermometer := mcp9808.New(tinygo.NewBus(wide.I2C(), mcp9808.MCP9808_I2CADDR_DEFAULT))
	temp, err := thermometer.ReadTemperature()
	is("mcp9808 reads −0.5 °C as 255.5", temp == 255.5 && err == nil)
}
