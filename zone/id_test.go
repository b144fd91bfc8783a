package zone

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"onoma/dns"
)

// TestLogsHaveNamesOfZones writes the ID of a zone to a log of JSON.
func TestLogsHaveNamesOfZones(t *testing.T) {
	var b bytes.Buffer
	name, err := dns.ParseName("Example.com")
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("taken", "zone", IDOf("in", name))
	if !strings.Contains(b.String(), `"zone":"example.com.@in"`) {
		t.Error(b.String())
	}
}
