package zonefile

import (
	"encoding/binary"
	"testing"
)

// TestPlain8 compares with the table, for every octet beside every other.
func TestPlain8(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			var lanes [8]byte
			for i := range lanes {
				lanes[i] = 'x'
			}
			at := (a + b) % 7
			lanes[at], lanes[at+1] = byte(a), byte(b)
			want := kinds[a] == word && kinds[b] == word
			if got := plain8(binary.LittleEndian.Uint64(lanes[:])); got != want {
				t.Fatalf("octets %q: %v, expected %v", lanes, got, want)
			}
		}
	}
}

// TestLongWords: a word ends at the same octet wherever that stands in it.
func TestLongWords(t *testing.T) {
	for length := range 3 * longWord {
		for special := range 256 {
			text := make([]byte, 3*longWord)
			for i := range text {
				text[i] = 'x'
			}
			text[length] = byte(special)
			want := length
			if kinds[special] == word {
				want = len(text)
			}
			if got := plainRun(text, 0); got != want {
				t.Fatalf("octet %#02x at %d: the word ends at %d, expected %d", special, length, got, want)
			}
		}
	}
}
