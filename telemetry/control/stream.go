package control

import (
	"bufio"
	"encoding/json"
	"io"
	"iter"
	"net/http"
)

// Text is a value that a Route may return: it writes text, which may be long, to the operator.
type Text func(io.Writer) error

// Listing is a value that a Route may return: values, sent as a JSON array in the order they come, of which the server holds
// one at a time.
type Listing[T any] iter.Seq[T]

// reply sends what a route has returned. What breaks in the middle breaks the connection, so that nobody takes it for whole.
func reply(w http.ResponseWriter, status int, v any) {
	switch v := v.(type) {
	case Text:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		stream(w, v)
	case interface{ write(io.Writer) error }: // a Listing
		w.Header().Set("Content-Type", "application/json")
		stream(w, v.write)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
	}
}

func stream(w io.Writer, write func(io.Writer) error) {
	b := bufio.NewWriterSize(w, 64<<10)
	err := write(b)
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (l Listing[T]) write(w io.Writer) error {
	separator := "["
	for z := range l {
		b, err := json.Marshal(z)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		separator = ",\n"
	}
	if separator == "[" {
		separator = "[]\n"
	} else {
		separator = "]\n"
	}
	_, err := io.WriteString(w, separator)
	return err
}
