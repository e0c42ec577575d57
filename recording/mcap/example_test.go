package mcap_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/recording/mcap"
)

func Example() {
	var file bytes.Buffer // os.Create, elsewhere
	w, err := mcap.NewWriter(&file, mcap.WriterOptions{})
	if err != nil {
		log.Fatal(err)
	}
	channel, err := w.AddChannel(0, "/rover/temperature", "json", map[string]string{"unit": "Cel"})
	if err != nil {
		log.Fatal(err)
	}
	for i := range 4 {
		if err := w.Write(channel, uint32(i), uint64(i)*1e9, uint64(i)*1e9, fmt.Appendf(nil, `{"value":%d}`, 20+i)); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	x, err := mcap.NewIndexed(bytes.NewReader(file.Bytes()), int64(file.Len()), mcap.ReaderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for m, err := range x.Messages(mcap.Query{From: 1e9, To: 3e9}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Channel.Topic, m.LogTime/1e9, string(m.Data))
	}
	// Output:
	// /rover/temperature 1 {"value":21}
	// /rover/temperature 2 {"value":22}
}

func ExampleRecover() {
	var file bytes.Buffer
	w, err := mcap.NewWriter(&file, mcap.WriterOptions{})
	if err != nil {
		log.Fatal(err)
	}
	channel, err := w.AddChannel(0, "/rover/note", "text", nil)
	if err != nil {
		log.Fatal(err)
	}
	for i, text := range []string{"armed", "moving"} {
		if err := w.Write(channel, uint32(i), uint64(i), uint64(i), []byte(text)); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	// The power fails here: there is no Close.

	rec, err := mcap.Recover(&file, mcap.ReaderOptions{}, func(m mcap.Message) error {
		fmt.Println(string(m.Data))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("complete:", rec.Complete)
	// Output:
	// armed
	// moving
	// complete: false
}
