package dns

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	oracle "github.com/miekg/dns"
)

var exampleOrigin = MustName("example.com.")

// oracleWire returns what the oracle makes of a text of rdata.
func oracleWire(t Type, text string) ([]byte, error) {
	rr, err := oracle.NewRR("$ORIGIN example.com.\nx 3600 IN " + t.String() + " " + text)
	if err != nil {
		return nil, err
	}
	if rr == nil {
		return nil, fmt.Errorf("no record")
	}
	buf := make([]byte, 70000)
	n, err := oracle.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return buf[len("\x01x\x07example\x03com\x00")+10 : n], nil
}

// oracleText returns the text that the oracle writes for rdata.
func oracleText(t Type, rdata []byte) (string, error) {
	msg := MustName("x.").Append(nil)
	msg = append(msg, byte(t>>8), byte(t), 0, 1, 0, 0, 0, 60, byte(len(rdata)>>8), byte(len(rdata)))
	rr, _, err := oracle.UnpackRR(append(msg, rdata...), 0)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String()), nil
}

func TestRDataAgainstOracle(t *testing.T) {
	for typ, texts := range rdataExamples {
		for _, text := range texts {
			name := typ.String() + " " + text[:min(len(text), 40)]
			text = strings.NewReplacer("( ", "", " )", "").Replace(text)
			want, err := oracleWire(typ, text)
			if err != nil {
				t.Errorf("%s: the oracle cannot read it: %v", name, err)
				continue
			}
			got, err := ParseRDataString(typ, text, exampleOrigin)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s:\n  got %x\n want %x", name, got, want)
			}
			ours := got.Text(typ)
			if back, err := oracleWire(typ, ours); err != nil || !bytes.Equal(back, got) {
				t.Errorf("%s: the oracle reads our text %s as %x, %v", name, ours, back, err)
			}
			if typ == TypeNULL {
				continue // the oracle writes a comment
			}
			theirs, err := oracleText(typ, got)
			if err != nil {
				t.Errorf("%s: the oracle cannot read the wire: %v", name, err)
			}
			if back, err := ParseRDataString(typ, theirs, Root); err != nil || !bytes.Equal(back, got) {
				t.Errorf("%s: we read the oracle's text %s as %x, %v", name, theirs, back, err)
			}
		}
	}
}

func TestRDataByHand(t *testing.T) {
	for _, e := range wireExamples {
		want, err := hex.DecodeString(strings.ReplaceAll(e.wire, " ", ""))
		if err != nil {
			t.Fatalf("%s %s: %v", e.typ, e.text, err)
		}
		got, err := ParseRDataString(e.typ, e.text, exampleOrigin)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %s:\n  got %x, %v\n want %x", e.typ, e.text, got, err, want)
			continue
		}
		text := got.Text(e.typ)
		if back, err := ParseRDataString(e.typ, text, Root); err != nil || !bytes.Equal(back, want) {
			t.Errorf("%s %s: written as %s, read back as %x, %v", e.typ, e.text, text, back, err)
		}
		if strings.HasPrefix(text, `\#`) && !strings.HasPrefix(e.text, `\#`) {
			t.Errorf("%s %s: written as %s", e.typ, e.text, text)
		}
	}
}

// TestEveryTypeHasExamples keeps the two lists above as long as the table.
func TestEveryTypeHasExamples(t *testing.T) {
	count := map[Type]int{}
	for typ, texts := range rdataExamples {
		count[typ] += len(texts)
	}
	for _, e := range wireExamples {
		count[e.typ]++
	}
	for v := range 1 << 16 {
		d := descriptorOf(Type(v))
		if d != nil && d.fields != nil && count[Type(v)] < 3 && !Type(v).IsMeta() {
			t.Errorf("%s has %d examples, at least 3 wanted", d.name, count[Type(v)])
		}
	}
}
