package wire_test

import (
	"reflect"
	"testing"

	"adit/engine/wire"
)

func TestRequestSurvivesTheWire(t *testing.T) {
	want := &wire.Request{Route: 300, Method: "POST", Scheme: "https", Authority: "[::1]:8443", Path: "/a?b=c",
		Fields: []wire.Field{{Name: "Content-Length", Value: "5"}, {Name: "te", Value: "Trailers"}, {Name: "x", Value: ""}}}
	got, err := wire.ParseRequest(wire.AppendRequest(nil, want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}
