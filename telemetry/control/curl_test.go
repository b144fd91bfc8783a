package control

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBodiesOfCurlAreRead sends JSON as curl -d does: with the media type of a form.
func TestBodiesOfCurlAreRead(t *testing.T) {
	const body = `{"add": ["www A 192.0.2.1"]}`
	r := httptest.NewRequest("POST", "/v1/zones/example.com/changes?view=in&most=7", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetPathValue("zone", "example.com")
	id, err := zoneOf(r)
	if err != nil || id.String() != "example.com.@in" {
		t.Errorf("zone %v, %v", id, err)
	}
	if n, err := number(r, "most", 1, 1, 9); n != 7 || err != nil {
		t.Errorf("most %d, %v", n, err)
	}
	if rest, err := io.ReadAll(r.Body); string(rest) != body || err != nil {
		t.Errorf("what is left to be read is %q, %v", rest, err)
	}
}
