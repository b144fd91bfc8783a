package https

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"onoma/dns"
)

// mediaType is that of a DNS message (RFC 8484 §6).
const mediaType = "application/dns-message"

// refusal is a request that is not a query, as HTTP says it.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

var (
	errMethod    = &refusal{http.StatusMethodNotAllowed, "GET and POST are possible"}
	errMedia     = &refusal{http.StatusUnsupportedMediaType, "a POST has the content type " + mediaType}
	errTooLarge  = &refusal{http.StatusRequestEntityTooLarge, "a DNS message has at most 65535 bytes"}
	errNoQuery   = &refusal{http.StatusBadRequest, "a GET has the query in the variable dns (RFC 8484 §4.1)"}
	errBase64    = &refusal{http.StatusBadRequest, "the variable dns is base64url without padding (RFC 8484 §6)"}
	errNoMessage = &refusal{http.StatusBadRequest, "the content is not a DNS query"}
	errBody      = &refusal{http.StatusBadRequest, "the body could not be read"}
)

// readQuery returns the DNS query of a request, in buf where that is long enough. The error is a *refusal.
func readQuery(r *http.Request, buf []byte) ([]byte, error) {
	var msg []byte
	var err error
	switch r.Method {
	case http.MethodGet:
		msg, err = fromURL(r.URL, buf)
	case http.MethodPost:
		msg, err = fromBody(r, buf)
	default:
		err = errMethod
	}
	if err != nil {
		return nil, err
	}
	if len(msg) < dns.HeaderLen || msg[2]&0x80 != 0 {
		return nil, errNoMessage
	}
	return msg, nil
}

func fromURL(u *url.URL, buf []byte) ([]byte, error) {
	text, ok := variable(u.RawQuery, "dns")
	if !ok {
		return nil, errNoQuery
	}
	if base64.RawURLEncoding.DecodedLen(len(text)) > dns.MaxMessageLen {
		return nil, errTooLarge
	}
	msg, err := base64.RawURLEncoding.AppendDecode(buf[:0], []byte(text))
	if err != nil {
		return nil, errBase64
	}
	return msg, nil
}

// variable returns the first value of a variable, without the map that url.ParseQuery makes.
func variable(query, name string) (value string, ok bool) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		value, err := url.QueryUnescape(value)
		return value, err == nil
	}
	return "", false
}

func fromBody(r *http.Request, buf []byte) ([]byte, error) {
	if !isMessage(r.Header.Get("Content-Type")) {
		return nil, errMedia
	}
	if r.ContentLength > dns.MaxMessageLen {
		return nil, errTooLarge
	}
	buf = buf[:cap(buf)]
	n := 0
	for {
		m, err := r.Body.Read(buf[n:])
		n += m
		switch {
		case n > dns.MaxMessageLen:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return buf[:n], nil
		case err != nil:
			return nil, errBody
		case n == len(buf):
			buf = append(buf, make([]byte, n)...)
		}
	}
}

func isMessage(contentType string) bool {
	if contentType == mediaType {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == mediaType
}
