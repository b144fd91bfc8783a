package dns

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	oracle "github.com/miekg/dns"
)

var (
	tsigNow = time.Unix(1700000000, 0)
	tsigK   = TSIGKey{MustName("Key.Example."), HMACSHA256, []byte("0123456789abcdef0123456789abcdef")}
)

// tsigQuery returns a query with an EDNS record, in the oracle's wire form.
func tsigQuery(t testing.TB, id uint16) []byte {
	t.Helper()
	m := new(oracle.Msg)
	m.SetQuestion("www.example.com.", oracle.TypeA)
	m.SetEdns0(1232, true)
	m.Id = id
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func oracleKey(k TSIGKey) string { return base64.StdEncoding.EncodeToString(k.Secret) }

// TestTSIGByHand works the MAC out from RFC 8945 §4.3.3, octet by octet.
func TestTSIGByHand(t *testing.T) {
	msg := tsigQuery(t, 0x1234)
	h := hmac.New(sha256.New, tsigK.Secret)
	h.Write(msg)
	h.Write([]byte("\x03key\x07example\x00" + "\x00\xff" + "\x00\x00\x00\x00" + "\x0bhmac-sha256\x00"))
	h.Write([]byte("\x00\x00\x65\x53\xf1\x00" + "\x01\x2c" + "\x00\x00" + "\x00\x00"))
	want := h.Sum(nil)
	signed, mac, err := SignTSIG(slices.Clone(msg), tsigK, tsigNow, nil)
	if err != nil || !bytes.Equal(mac, want) {
		t.Fatalf("MAC %x, %v, want %x", mac, err, want)
	}
	tail := "\x03Key\x07Example\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x3d\x0bhmac-sha256\x00\x00\x00\x65\x53\xf1\x00\x01\x2c\x00\x20" +
		string(want) + "\x12\x34\x00\x00\x00\x00"
	if string(signed[len(msg):]) != tail || signed[11] != msg[11]+1 {
		t.Errorf("record %x, count %d", signed[len(msg):], signed[11])
	}
}

func TestTSIGAgainstOracle(t *testing.T) {
	now := time.Now() // the oracle reads the clock
	for _, algo := range []Name{HMACSHA1, HMACSHA224, HMACSHA256, HMACSHA384, HMACSHA512} {
		key := TSIGKey{MustName("Key.Example."), algo, []byte("a secret of some length")}
		query := tsigQuery(t, 7)
		signed, mac, err := SignTSIG(slices.Clone(query), key, now, nil)
		if err != nil {
			t.Fatalf("%s: %v", algo, err)
		}
		if err := oracle.TsigVerify(slices.Clone(signed), oracleKey(key), "", false); err != nil {
			t.Errorf("%s: the oracle refuses our signature: %v", algo, err)
		}
		theirs, theirMAC := oracleSign(t, query, key, now, "", false)
		v, err := VerifyTSIG(theirs, Keys(key), now)
		if err != nil || hex.EncodeToString(v.MAC) != theirMAC || !bytes.Equal(theirs[:v.Len], query) {
			t.Errorf("%s: the oracle's signature: %v", algo, err)
		}
		// The answer, which covers the request's MAC.
		answer, _, err := SignTSIG(slices.Clone(query), key, now, mac)
		if err != nil {
			t.Fatalf("%s: %v", algo, err)
		}
		if err := oracle.TsigVerify(answer, oracleKey(key), hex.EncodeToString(mac), false); err != nil {
			t.Errorf("%s: the oracle refuses our answer's signature: %v", algo, err)
		}
	}
}

// oracleSign signs msg with the oracle.
func oracleSign(t *testing.T, msg []byte, key TSIGKey, now time.Time, requestMAC string, timersOnly bool) (signed []byte, mac string) {
	t.Helper()
	m := new(oracle.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	m.SetTsig(key.Name.String(), key.Algorithm.String(), TSIGFudge, now.Unix())
	signed, mac, err := oracle.TsigGenerate(m, oracleKey(key), requestMAC, timersOnly)
	if err != nil {
		t.Fatal(err)
	}
	return signed, mac
}

func TestTSIGStreamAgainstOracle(t *testing.T) {
	now := time.Now()
	query := tsigQuery(t, 9)
	signed, mac, err := SignTSIG(slices.Clone(query), tsigK, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := VerifyTSIG(signed, Keys(tsigK), now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewTSIGStream(v.Key, v.MAC)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewTSIGStream(tsigK, mac)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := hex.EncodeToString(mac), hex.EncodeToString(mac)
	for i := range 5 {
		out, err := server.Sign(slices.Clone(query), now)
		if err != nil {
			t.Fatal(err)
		}
		if err := oracle.TsigVerify(slices.Clone(out), oracleKey(tsigK), ours, i > 0); err != nil {
			t.Errorf("message %d: the oracle refuses our signature: %v", i, err)
		}
		ours = hex.EncodeToString(server.mac)
		var in []byte
		in, theirs = oracleSign(t, query, tsigK, now, theirs, i > 0)
		if n, err := client.Verify(in, now); err != nil || !bytes.Equal(in[:n], query) {
			t.Errorf("message %d: the oracle's signature: %v", i, err)
		}
	}
	if err := client.Complete(); err != nil {
		t.Error(err)
	}
}

// tsigPair returns a server's and a client's stream of one signed request.
func tsigPair(t *testing.T) (server, client *TSIGStream) {
	t.Helper()
	signed, mac, err := SignTSIG(tsigQuery(t, 1), tsigK, tsigNow, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := VerifyTSIG(signed, Keys(tsigK), tsigNow)
	if err != nil {
		t.Fatal(err)
	}
	server, err1 := NewTSIGStream(v.Key, v.MAC)
	client, err2 := NewTSIGStream(tsigK, mac)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return server, client
}

// TestTSIGUnsignedBetween has a server that signs each hundredth message (RFC
// 8945 §5.3.1), and one that waits for one more.
func TestTSIGUnsignedBetween(t *testing.T) {
	for _, gap := range []int{0, 1, 99, 100} {
		server, client := tsigPair(t)
		first, err := server.Sign(tsigQuery(t, 2), tsigNow)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Verify(first, tsigNow); err != nil {
			t.Fatal(err)
		}
		var refused error
		for i := range gap {
			plain := tsigQuery(t, uint16(i))
			server.h.Write(plain) // what a server that signs now and then would do
			if _, err := client.Verify(plain, tsigNow); err != nil {
				refused = err
			}
		}
		if (refused != nil) != (gap > 99) {
			t.Errorf("%d messages without TSIG: %v", gap, refused)
		}
		if gap > 0 && !errors.Is(client.Complete(), ErrTSIGUnsigned) {
			t.Errorf("%d messages without TSIG pass for complete", gap)
		}
		last, err := server.Sign(tsigQuery(t, 3), tsigNow)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Verify(last, tsigNow); gap <= 99 && (err != nil || client.Complete() != nil) {
			t.Errorf("the message behind %d without TSIG: %v", gap, err)
		}
	}
	_, client := tsigPair(t)
	if _, err := client.Verify(tsigQuery(t, 2), tsigNow); !errors.Is(err, ErrTSIGUnsigned) {
		t.Errorf("a first message without TSIG: %v", err)
	}
	if !errors.Is(client.Complete(), ErrTSIGUnsigned) {
		t.Error("an empty stream passes for complete")
	}
}

// TestTSIGForgery has an off-path sender whose answers come first: the true one
// must still be accepted, and not twice.
func TestTSIGForgery(t *testing.T) {
	server, client := tsigPair(t)
	answer, err := server.Sign(tsigQuery(t, 1), tsigNow)
	if err != nil {
		t.Fatal(err)
	}
	for i := range answer {
		forged := slices.Clone(answer)
		forged[i] ^= 1
		if _, err := client.Verify(forged, tsigNow); err == nil && i > 1 { // the ID's own octets are not covered: the original ID is
			t.Fatalf("an answer with octet %d changed is accepted", i)
		} else if err == nil {
			server, client = tsigPair(t)
			if answer, err = server.Sign(tsigQuery(t, 1), tsigNow); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := client.Verify(slices.Clone(answer), tsigNow); err != nil {
		t.Errorf("the true answer behind forged ones: %v", err)
	}
	if _, err := client.Verify(slices.Clone(answer), tsigNow); err == nil {
		t.Error("the answer is accepted again")
	}
}

func TestTSIGErrors(t *testing.T) {
	query := tsigQuery(t, 5)
	signed, _, err := SignTSIG(slices.Clone(query), tsigK, tsigNow, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, mac := len(query), len(query)+13+10+13+10 // where the TSIG and its MAC start
	edit := func(f func(b []byte) []byte) []byte { return f(slices.Clone(signed)) }
	truncated := func(keep int) []byte {
		return edit(func(b []byte) []byte {
			b = append(b[:mac+keep], b[mac+32:]...)
			binary.BigEndian.PutUint16(b[mac-2:], uint16(keep))
			binary.BigEndian.PutUint16(b[n+13+8:], uint16(13+16+keep))
			return b
		})
	}
	other := tsigK
	other.Secret = []byte("something else")
	otherAlgo := tsigK
	otherAlgo.Algorithm = HMACSHA512
	for _, c := range []struct {
		what  string
		msg   []byte
		keys  Keyring
		late  time.Duration
		rcode RCode
		code  RCode
	}{
		{"good", signed, Keys(tsigK), 0, 0, 0},
		{"at the end of the fudge", signed, Keys(tsigK), 300 * time.Second, 0, 0},
		{"behind the fudge", signed, Keys(tsigK), 301 * time.Second, RCodeNotAuth, RCodeBadTime},
		{"before the fudge", signed, Keys(tsigK), -301 * time.Second, RCodeNotAuth, RCodeBadTime},
		{"no such key", signed, Keys(), 0, RCodeNotAuth, RCodeBadKey},
		{"another algorithm", signed, Keys(otherAlgo), 0, RCodeNotAuth, RCodeBadKey},
		{"another secret", signed, Keys(other), 0, RCodeNotAuth, RCodeBadSig},
		{"another secret, and late", signed, Keys(other), time.Hour, RCodeNotAuth, RCodeBadSig},
		{"changed", edit(func(b []byte) []byte { b[13] ^= 1; return b }), Keys(tsigK), 0, RCodeNotAuth, RCodeBadSig},
		{"truncated to 16 octets", truncated(16), Keys(tsigK), 0, RCodeNotAuth, RCodeBadTrunc},
		{"truncated to 31 octets", truncated(31), Keys(tsigK), 0, RCodeNotAuth, RCodeBadTrunc},
		{"truncated to 15 octets", truncated(15), Keys(tsigK), 0, RCodeFormErr, 0},
		{"without MAC", truncated(0), Keys(tsigK), 0, RCodeFormErr, 0},
		{"MAC of 33 octets", edit(func(b []byte) []byte {
			b = slices.Insert(b, mac, 0)
			binary.BigEndian.PutUint16(b[mac-2:], 33)
			binary.BigEndian.PutUint16(b[n+13+8:], 13+16+33)
			return b
		}), Keys(tsigK), 0, RCodeFormErr, 0},
		{"class IN", edit(func(b []byte) []byte { b[n+13+3] = 1; return b }), Keys(tsigK), 0, RCodeFormErr, 0},
		{"TTL 1", edit(func(b []byte) []byte { b[n+13+7] = 1; return b }), Keys(tsigK), 0, RCodeFormErr, 0},
		{"another record behind", edit(func(b []byte) []byte { b[11]++; return append(b, "\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"...) }), Keys(tsigK), 0, RCodeFormErr, 0},
		{"two TSIGs", edit(func(b []byte) []byte { b[11]++; return append(b, signed[n:]...) }), Keys(tsigK), 0, RCodeFormErr, 0},
		{"octets behind", append(slices.Clone(signed), 0), Keys(tsigK), 0, RCodeFormErr, 0},
		{"cut", signed[:len(signed)-1], Keys(tsigK), 0, RCodeFormErr, 0},
		{"in the answer section", edit(func(b []byte) []byte { b[7], b[11] = b[11], 0; return b }), Keys(tsigK), 0, RCodeFormErr, 0},
		{"header alone", signed[:12], Keys(tsigK), 0, RCodeFormErr, 0},
		{"half a header", signed[:11], Keys(tsigK), 0, RCodeFormErr, 0},
	} {
		msg := slices.Clone(c.msg)
		v, err := VerifyTSIG(msg, c.keys, tsigNow.Add(c.late))
		var e *TSIGError
		switch {
		case c.rcode == 0:
			if err != nil || !bytes.Equal(msg[:v.Len], query) || v.Key.Name != tsigK.Name {
				t.Errorf("%s: %v", c.what, err)
			}
		case !errors.As(err, &e):
			t.Errorf("%s: %v, want a *TSIGError", c.what, err)
		case e.RCode != c.rcode || e.Code != c.code:
			t.Errorf("%s: %v, want %s and %s", c.what, err, c.rcode, codeName(c.code))
		case !bytes.Equal(msg, c.msg):
			t.Errorf("%s: the message was changed", c.what)
		}
	}
	if _, err := VerifyTSIG(slices.Clone(query), Keys(tsigK), tsigNow); !errors.Is(err, ErrNoTSIG) {
		t.Errorf("without TSIG: %v", err)
	}
}

// TestTSIGKeepsWireID has a forwarder that changed the ID on the way (RFC 8945
// §5.5): the signature still holds, and the message keeps the ID it came with.
func TestTSIGKeepsWireID(t *testing.T) {
	signed, _, err := SignTSIG(tsigQuery(t, 5), tsigK, tsigNow, nil)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(signed, 77)
	v, err := VerifyTSIG(signed, Keys(tsigK), tsigNow)
	if err != nil || !bytes.Equal(signed[:v.Len], tsigQuery(t, 77)) {
		t.Errorf("%v", err)
	}
}

// TestTSIGErrorAnswers has a server that refuses, and the client that hears of it.
func TestTSIGErrorAnswers(t *testing.T) {
	stranger := TSIGKey{MustName("stranger."), HMACSHA256, []byte("x")}
	wrong := TSIGKey{tsigK.Name, HMACSHA256, []byte("wrong")}
	late := tsigNow.Add(time.Hour)
	for _, c := range []struct {
		what   string
		client TSIGKey
		keys   Keyring
		code   RCode
		signed bool
	}{
		{"no such key", stranger, Keys(tsigK), RCodeBadKey, false},
		{"bad signature", wrong, Keys(tsigK), RCodeBadSig, false},
		{"bad time", tsigK, Keys(tsigK), RCodeBadTime, true},
	} {
		request, mac, err := SignTSIG(tsigQuery(t, 5), c.client, tsigNow, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = VerifyTSIG(request, c.keys, late)
		var e *TSIGError
		if !errors.As(err, &e) || e.Code != c.code {
			t.Fatalf("%s: %v", c.what, err)
		}
		clear(request) // the error must not lean on the caller's buffer
		answer, err := e.Sign(tsigQuery(t, 5), late)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		r, found, err := findTSIG(answer)
		if err != nil || !found || r.err != c.code || len(r.mac) > 0 != c.signed {
			t.Fatalf("%s: answer %x, %v", c.what, answer, err)
		}
		client, err := NewTSIGStream(c.client, mac)
		if err != nil {
			t.Fatal(err)
		}
		var heard *TSIGError
		if _, err := client.Verify(answer, tsigNow); !errors.As(err, &heard) || heard.Code != c.code {
			t.Fatalf("%s: the client hears %v", c.what, err)
		}
		if c.code == RCodeBadTime && !heard.ServerTime.Equal(late) {
			t.Errorf("%s: the server's time is %v, want %v", c.what, heard.ServerTime, late)
		}
	}
	if out, err := tsigFormErr(ErrTruncated).Sign([]byte("resp"), late); err != nil || string(out) != "resp" {
		t.Errorf("the answer to a malformed TSIG has one: %q, %v", out, err)
	}
}

func TestTSIGKeys(t *testing.T) {
	for _, c := range []struct {
		what string
		key  TSIGKey
		says string
	}{
		{"good", tsigK, ""},
		{"no name", TSIGKey{Algorithm: HMACSHA256, Secret: []byte("x")}, "no name"},
		{"no secret", TSIGKey{Name: tsigK.Name, Algorithm: HMACSHA256}, "no secret"},
		{"MD5", TSIGKey{Name: tsigK.Name, Algorithm: HMACMD5, Secret: []byte("x")}, "algorithm hmac-md5"},
	} {
		if err := c.key.Check(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
		if _, _, err := SignTSIG(tsigQuery(t, 1), c.key, tsigNow, nil); c.says == "no secret" && err == nil {
			t.Errorf("%s: signed", c.what)
		}
	}
	for _, c := range []struct {
		text string
		want Name
		says string
	}{
		{"hmac-sha256", HMACSHA256, ""}, {"HMAC-SHA1.", HMACSHA1, ""}, {"hmac-sha512.", HMACSHA512, ""},
		{"hmac-md5", Name{}, "must not be used"}, {"hmac-md5.sig-alg.reg.int.", Name{}, "must not be used"},
		{"sha256", Name{}, "expected hmac-sha1"},
	} {
		got, err := ParseTSIGAlgorithm(c.text)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s, %v", c.text, got, err)
		}
	}
	if _, ok := Keys(tsigK)(MustName("KEY.example.")); !ok {
		t.Error("a key is not found by its name in another case")
	}
	full := slices.Clone(tsigQuery(t, 1))
	full[10], full[11] = 0xFF, 0xFF
	if _, _, err := SignTSIG(full, tsigK, tsigNow, nil); err == nil {
		t.Error("a message with 65535 additional records got one more")
	}
	if _, _, err := SignTSIG(make([]byte, MaxMessageLen-20), tsigK, tsigNow, nil); !errors.Is(err, ErrMessageTooLong) {
		t.Errorf("a full message: %v", err)
	}
	if got := fmt.Sprint((&TSIGError{RCode: RCodeNotAuth, Code: RCodeBadSig, What: "x"})); got != "tsig: BADSIG: x" {
		t.Errorf("error 16 in a TSIG is %s", got)
	}
}

// FuzzTSIG verifies any message, with the oracle as a witness: nothing panics,
// and nothing is accepted that was not signed.
func FuzzTSIG(f *testing.F) {
	query := tsigQuery(f, 5)
	signed, mac, err := SignTSIG(slices.Clone(query), tsigK, tsigNow, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add(signed)
	f.Add(signed[:len(signed)-3])
	f.Add(append(slices.Clone(signed), 1, 2, 3))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		in := slices.Clone(msg)
		v, err := VerifyTSIG(in, Keys(tsigK), tsigNow)
		if err == nil {
			if !bytes.Equal(in[2:v.Len], query[2:]) { // but for its ID, the one that was signed
				t.Fatalf("%x accepted", msg)
			}
		} else if !bytes.Equal(in, msg) {
			t.Fatalf("%x was changed to %x, %v", msg, in, err)
		}
		stream, serr := NewTSIGStream(tsigK, mac)
		if serr != nil {
			t.Fatal(serr)
		}
		if _, err := stream.Verify(slices.Clone(msg), tsigNow); err == nil {
			t.Fatalf("%x accepted as an answer", msg)
		}
		if out, _, err := SignTSIG(slices.Clone(msg), tsigK, tsigNow, nil); err == nil {
			_, found, ferr := findTSIG(msg)
			v, verr := VerifyTSIG(out, Keys(tsigK), tsigNow)
			if whole := ferr == nil && !found; whole != (verr == nil) || whole && !bytes.Equal(out[:v.Len], msg) {
				t.Fatalf("%x signed and verified: %v", msg, verr)
			}
		}
	})
}
