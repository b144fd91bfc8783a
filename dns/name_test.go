package dns

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	oracle "github.com/miekg/dns"
)

func sign(n int) int { return min(1, max(-1, n)) }

func TestNameRelationsAgainstSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a, b := randomName(r), randomName(r)
		if r.IntN(3) == 0 {
			b = randomCase(r, a)
		}
		if r.IntN(3) == 0 {
			a = Name{a.wire[:len(a.wire)-1] + b.wire}
		}
		checkNamePair(t, a, b)
	}
}

// checkNamePair holds everything that relates two names against the slow
// implementation.
func checkNamePair(t *testing.T, a, b Name) {
	t.Helper()
	x, y := slowFromWire(a.wire), slowFromWire(b.wire)
	wa, wb := []byte(a.wire), []byte(b.wire)
	want := x.compare(y)
	if got := sign(a.Compare(b)); got != want || sign(CompareNames(wb, wa)) != -want {
		t.Fatalf("%s compared with %s: %d, want %d", a, b, got, want)
	}
	if a.Equal(b) != (want == 0) || EqualNames(wa, wb) != (want == 0) || (a.Fold() == b.Fold()) != (want == 0) {
		t.Fatalf("%s equal to %s: want %v", a, b, want == 0)
	}
	sub := x.isSubdomainOf(y)
	if a.IsSubdomainOf(b) != sub || IsSubdomain(wa, wb) != sub {
		t.Fatalf("%s at or below %s: want %v", a, b, sub)
	}
	if a.NumLabels() != len(x) || CountLabels(wa) != len(x) || !slices.Equal(slices.Collect(a.Labels()), x) {
		t.Fatalf("%s: %d labels, want %d", a, a.NumLabels(), len(x))
	}
	checkCommonAncestor(t, a, b)
	checkRebase(t, a, b)
}

func checkCommonAncestor(t *testing.T, a, b Name) {
	t.Helper()
	c := a.CommonAncestor(b)
	if !a.IsSubdomainOf(c) || !b.IsSubdomainOf(c) {
		t.Fatalf("common ancestor of %s and %s: %s is none", a, b, c)
	}
	for n := a; !n.Equal(c); n = n.Parent() {
		if b.IsSubdomainOf(n) {
			t.Fatalf("common ancestor of %s and %s: %s, but %s is nearer", a, b, c, n)
		}
	}
}

func checkRebase(t *testing.T, a, b Name) {
	t.Helper()
	to := MustName("Target.example.")
	got, err := a.Rebase(b, to)
	if !a.IsSubdomainOf(b) {
		if err == nil {
			t.Fatalf("%s rebased from %s, which it is not below: %s", a, b, got)
		}
		return
	}
	x := slowFromWire(a.wire)
	want := append(slices.Clone(x[:len(x)-b.NumLabels()]), "Target", "example").wire()
	if len(want) > MaxNameLen != errors.Is(err, ErrNameTooLong) || err == nil && got.wire != want {
		t.Fatalf("%s rebased from %s: %s, %v", a, b, got, err)
	}
}

func TestNameTextRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		n := randomName(r)
		if back, err := ParseName(n.String()); err != nil || back != n {
			t.Fatalf("%q written as %s reads back as %q, %v", n.wire, n, back.wire, err)
		}
	}
	var all []byte
	for c := range 256 {
		all = append(all[:0], 1, byte(c), 0)
		n := Name{string(all)}
		if back, err := ParseNameIn(n.String(), MustName("origin.")); err != nil || back != n {
			t.Errorf("octet %d written as %s reads back as %q, %v", c, n, back.wire, err)
		}
	}
}

func TestParseNameErrors(t *testing.T) {
	long := strings.Repeat("a", 63)
	full := strings.Join([]string{long, long, long, strings.Repeat("b", 61)}, ".")
	for _, c := range []struct {
		text string
		want error
	}{
		{"", ErrEmptyName},
		{"..", ErrEmptyLabel},
		{"a..b", ErrEmptyLabel},
		{".a", ErrEmptyLabel},
		{long + "a.", ErrLabelTooLong},
		{full + "b.", ErrNameTooLong},
		{full + ".", nil},
		{full, nil},
		{strings.Repeat("a.", 127), nil},
		{strings.Repeat("a.", 128), ErrNameTooLong},
		{`a\`, ErrBadEscape},
		{`a\1`, ErrBadEscape},
		{`a\25x`, ErrBadEscape},
		{`a\256`, ErrBadEscape},
		{`a\255\000\.\@.`, nil},
		{strings.Repeat(`\065`, 63), nil},
		{strings.Repeat(`\065`, 64), ErrLabelTooLong},
	} {
		if _, err := ParseName(c.text); !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v, want %v", c.text, err, c.want)
		}
	}
	if _, err := ParseNameIn("www", Name{}); !errors.Is(err, ErrRelativeName) {
		t.Errorf("relative name without an origin: %v", err)
	}
	if n, err := ParseNameIn("www", MustName("example.com")); err != nil || n.String() != "www.example.com." {
		t.Errorf("www in example.com: %s, %v", n, err)
	}
	if n, err := ParseNameIn("@", MustName("example.com")); err != nil || n.String() != "example.com." {
		t.Errorf("@ in example.com: %s, %v", n, err)
	}
	if _, err := ParseNameIn(full, MustName("c.")); !errors.Is(err, ErrNameTooLong) {
		t.Errorf("a name too long with its origin: %v", err)
	}
}

// TestCanonicalOrder is the example of RFC 4034 §6.1.
func TestCanonicalOrder(t *testing.T) {
	order := []string{
		"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.",
		`\001.z.example.`, "*.z.example.", `\200.z.example.`,
	}
	for i := range order {
		for j := range order {
			if got := sign(MustName(order[i]).Compare(MustName(order[j]))); got != sign(i-j) {
				t.Errorf("%s compared with %s: %d, want %d", order[i], order[j], got, sign(i-j))
			}
		}
	}
}

func TestNameParts(t *testing.T) {
	n := MustName("WWW.Example.com.")
	for _, c := range []struct{ what, got, want string }{
		{"parent", n.Parent().String(), "Example.com."},
		{"ancestor 0", n.Ancestor(0).String(), "WWW.Example.com."},
		{"ancestor 2", n.Ancestor(2).String(), "com."},
		{"ancestor 3", n.Ancestor(3).String(), "."},
		{"ancestor 4", n.Ancestor(4).String(), ""},
		{"fold", n.Fold().String(), "www.example.com."},
		{"first label", n.FirstLabel(), "WWW"},
		{"root", Root.String(), "."},
		{"parent of the root", Root.Parent().String(), ""},
		{"zero", Name{}.String(), ""},
		{"label", LabelText("a.b\\ \x00"), `a\.b\\\032\000`},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if !MustName("*.example.").IsWildcard() || MustName("*a.example.").IsWildcard() || MustName(`a.*.`).IsWildcard() {
		t.Error("wildcards: an asterisk alone in the leftmost label")
	}
	if c, err := MustName("example.").Child("a.b"); err != nil || c.String() != `a\.b.example.` {
		t.Errorf("child: %s, %v", c, err)
	}
	if _, err := Root.Child(""); !errors.Is(err, ErrEmptyLabel) {
		t.Errorf("empty child: %v", err)
	}
	if _, err := Root.Child(strings.Repeat("x", 64)); !errors.Is(err, ErrLabelTooLong) {
		t.Errorf("long child: %v", err)
	}
	if _, err := MustName(strings.Repeat("a.", 127)).Child("b"); !errors.Is(err, ErrNameTooLong) {
		t.Errorf("child of a name that is full: %v", err)
	}
}

func TestNameMarshalling(t *testing.T) {
	for _, s := range []string{"", ".", `a\.b.example.`} {
		var n, m Name
		if err := n.UnmarshalText([]byte(s)); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		text, err := n.MarshalText()
		if err != nil || string(text) != s || m.UnmarshalText(text) != nil || m != n {
			t.Errorf("%q marshalled as %q, %v", s, text, err)
		}
	}
	var n Name
	if n.UnmarshalText([]byte("a..b")) == nil {
		t.Error("a name with an empty label unmarshalled")
	}
}

func TestNameIDNA(t *testing.T) {
	for _, c := range []struct{ typed, wire string }{
		{"bücher.example", "xn--bcher-kva.example."},
		{"BÜCHER.example", "xn--bcher-kva.example."},
		{"faß.de", "xn--fa-hia.de."}, // IDNA 2008, not the ss of 2003
		{"_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example."},
		{"WWW.Example", "WWW.Example."},
	} {
		n, err := ParseNameIDNA(c.typed)
		if err != nil || n.String() != c.wire {
			t.Errorf("%s: %s, %v, want %s", c.typed, n, err, c.wire)
		}
	}
	if got := MustName("xn--bcher-kva.example.").Unicode(); got != "bücher.example." {
		t.Errorf("for a person's eyes: %s", got)
	}
	if got := MustName("xn--\\255.example.").Unicode(); got != `xn--\255.example.` {
		t.Errorf("an A-label that is none: %s", got)
	}
}

func TestNameFromWire(t *testing.T) {
	for _, c := range []struct {
		wire string
		ok   bool
	}{
		{"\x00", true}, {"\x01a\x00", true}, {"", false}, {"\x01a", false}, {"\x02a\x00", false},
		{"\x00\x00", false}, {"\xc0\x00", false}, {"\x40" + strings.Repeat("a", 64) + "\x00", false},
		{strings.Repeat("\x01a", 127) + "\x00", true}, {strings.Repeat("\x01a", 128) + "\x00", false},
	} {
		if n, err := NameFromWire([]byte(c.wire)); (err == nil) != c.ok || c.ok && n.wire != c.wire {
			t.Errorf("%.20q: %v", c.wire, err)
		}
	}
}

func TestUnpackName(t *testing.T) {
	loop := strings.Repeat("\xc0\x00", 1)
	chain := "\x00" // every pointer leads to the one before
	for i := range 200 {
		target := 0
		if i > 0 {
			target = 1 + 2*(i-1)
		}
		chain += string([]byte{0xC0 | byte(target>>8), byte(target)})
	}
	long := strings.Repeat("\x01a", 127) + "\x00"
	for _, c := range []struct {
		what, msg string
		off       int
		want      string
		next      int
		err       error
	}{
		{"plain", "xx\x01a\x01b\x00yy", 2, "\x01a\x01b\x00", 7, nil},
		{"pointer", "\x01b\x00\x01a\xc0\x00", 3, "\x01a\x01b\x00", 7, nil},
		{"bare pointer", "\x01b\x00\xc0\x00z", 3, "\x01b\x00", 5, nil},
		{"pointer to a pointer", "\x01c\x00\x01b\xc0\x00\x01a\xc0\x03", 7, "\x01a\x01b\x01c\x00", 11, nil},
		{"to itself", loop, 0, "", 0, ErrBadPointer},
		{"forward", "\xc0\x02\x01a\x00", 0, "", 0, ErrBadPointer},
		{"into its own labels", "\x01a\x01b\xc0\x00", 2, "\x01b\x01a\x01b", 0, ErrBadPointer},
		{"two that lead to each other", "\x01a\xc0\x04\xc0\x00", 4, "", 0, ErrBadPointer},
		{"chain of 100 pointers", chain, 199, "\x00", 201, nil},
		{"chain of 150 pointers", chain, 299, "", 0, ErrBadPointer},
		{"cut pointer", "\x01a\xc0", 0, "", 0, ErrTruncated},
		{"cut label", "\x05a", 0, "", 0, ErrTruncated},
		{"no end", "\x01a", 0, "", 0, ErrTruncated},
		{"behind the message", "\x00", 1, "", 0, ErrTruncated},
		{"label type 01", "\x41a\x00", 0, "", 0, ErrBadLabel},
		{"label type 10", "\x81a\x00", 0, "", 0, ErrBadLabel},
		{"255 octets", long, 0, long, 255, nil},
		{"257 octets", "\x01a" + long, 0, "", 0, ErrNameTooLong},
		{"257 octets by a pointer", long + "\x01b\xc0\x00", 255, "", 0, ErrNameTooLong},
	} {
		got, next, err := UnpackName([]byte("kept"), []byte(c.msg), c.off)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.what, err, c.err)
		} else if err == nil && (string(got) != "kept"+c.want || next != c.next) {
			t.Errorf("%s: %q next %d, want %q next %d", c.what, got, next, c.want, c.next)
		} else if err != nil && string(got) != "kept" {
			t.Errorf("%s: dst is %q after an error", c.what, got)
		}
		if skipped, serr := SkipName([]byte(c.msg), c.off); err == nil && (serr != nil || skipped != c.next) {
			t.Errorf("%s: skipped to %d, %v, want %d", c.what, skipped, serr, c.next)
		}
	}
}

func TestFoldNamesInPlace(t *testing.T) {
	b := []byte("\x03WwW\x02\xc4Z\x00")
	if got := AppendFolded([]byte("X"), b); string(got) != "X\x03www\x02\xc4z\x00" {
		t.Errorf("appended folded: %q", got)
	}
	FoldName(b)
	if string(b) != "\x03www\x02\xc4z\x00" {
		t.Errorf("folded in place: %q", b)
	}
}

func TestNamesDoNotAllocate(t *testing.T) {
	a, b := []byte(MustName("WWW.example.com.").wire), []byte(MustName("www.EXAMPLE.com.").wire)
	msg := []byte("\x07example\x03com\x00\x03www\xc0\x00")
	text := []byte("www.example.com.")
	dst := make([]byte, 0, 512)
	var offs [MaxLabels + 1]uint8
	if n := testing.AllocsPerRun(100, func() {
		CompareNames(a, b)
		EqualNames(a, b)
		IsSubdomain(a, b)
		LabelOffsets(&offs, a)
		_, _, _ = UnpackName(dst[:0], msg, 13)
		_, _ = AppendNameFromText(dst[:0], text, Root)
		AppendNameText(dst[:0], a)
		AppendFolded(dst[:0], a)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"", ".", "@", "a", "a.b.", `\.\000\255\\`, `a\`, "..", "A.b.C.", strings.Repeat("a.", 128), strings.Repeat("x", 64)} {
		f.Add(s, "b.C.", []byte("\x01a\xc0\x00\x00"), uint16(0))
	}
	f.Add("a.b.c.", "b.c.", []byte("\x01b\x00\x01a\xc0\x00\xc0\x03"), uint16(7))
	f.Fuzz(func(t *testing.T, s, s2 string, msg []byte, off uint16) {
		origin := MustName("O.example.")
		n, err := ParseNameIn(s, origin)
		want, slowErr := slowParse(s, slowFromWire(origin.wire))
		if (err == nil) != (slowErr == nil) || err == nil && n.wire != want.wire() {
			t.Fatalf("%q: %q, %v; slowly %q, %v", s, n.wire, err, want, slowErr)
		}
		if m, err2 := ParseNameIn(s2, origin); err == nil && err2 == nil {
			checkNamePair(t, n, m)
		}
		if err == nil {
			if back, err := ParseName(n.String()); err != nil || back != n {
				t.Fatalf("%q reads back as %q, %v", n.String(), back.wire, err)
			}
			fuzzNameOracle(t, n)
		}
		w, next, err := UnpackName(nil, msg, int(off))
		if err != nil {
			return
		}
		if _, err := NameFromWire(w); err != nil || next > len(msg) {
			t.Fatalf("%x at %d unpacks to %x, next %d: %v", msg, off, w, next, err)
		}
		// The oracle lets a pointer lead anywhere but follows few of them.
		text, onext, oerr := oracle.UnpackDomainName(msg, int(off))
		if oerr == nil && onext != next {
			t.Fatalf("%x at %d: next %d, oracle %d", msg, off, next, onext)
		}
		if back, err := ParseName(text); oerr == nil && (err != nil || back.wire != string(w)) {
			t.Fatalf("%x at %d unpacks to %x, oracle %s", msg, off, w, text)
		}
	})
}

func fuzzNameOracle(t *testing.T, n Name) {
	buf := make([]byte, 300)
	end, err := oracle.PackDomainName(n.String(), buf, 0, nil, false)
	if err != nil || !bytes.Equal(buf[:end], []byte(n.wire)) {
		t.Fatalf("%s is %x, to the oracle %x, %v", n, n.wire, buf[:end], err)
	}
}
