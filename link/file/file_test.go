package file_test

import (
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/link/linktest"
)

func TestConformance(t *testing.T) {
	linktest.Run(t, linktest.Harness{Libraries: []string{"fulmar/link/file."}, Open: func(t *testing.T) linktest.Carrier {
		dir := t.TempDir()
		o := file.Options{Poll: 2 * time.Millisecond}
		return linktest.Carrier{
			Durable: true,
			Dialer:  func(device string) link.Dialer { return file.Dialer{Dir: dir, Device: device, Options: o} },
			Listen: func(t *testing.T) link.Receiver {
				r, err := file.Listen(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				return r
			},
		}
	}})
}
