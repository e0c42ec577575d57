package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/web"
)

func Example() {
	hub := live.New(live.Options{}) // ingest publishes to it
	store := newDouble(hub, epoch, epoch+60*second)
	s, err := web.New(web.Options{Source: store, Exporter: store, Tail: hub})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close() // before the server's: it ends the live streams
	res, err := http.Get(srv.URL + "/api/v1/machines/rover/range?series=gnss.satellites&from=1767225600000&to=1767225602000")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	fmt.Println(string(b))
	// Output:
	// {"device":"rover","from_ms":1767225600000,"to_ms":1767225602000,"buckets":1000,"traces":[{"series":"gnss.satellites","t_ms":[1767225600000,1767225601000],"mean":[11,11],"min":null,"max":null,"count":null}]}
}
