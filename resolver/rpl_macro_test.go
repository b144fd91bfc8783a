package resolver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rplMacros are the variables of a script, and what ${...} means in its texts.
type rplMacros struct {
	t       *testing.T
	step    int
	vars    map[string]string
	now     func() time.Time
	timeout func() time.Duration // until the next thing that the resolver does by itself
}

// assign does ASSIGN name = text.
func (m *rplMacros) assign(args []string) {
	name, text, ok := strings.Cut(strings.Join(args, " "), "=")
	if !ok {
		m.t.Errorf("step %d: ASSIGN %v", m.step, args)
	}
	m.vars[strings.TrimSpace(name)] = m.expand(strings.TrimSpace(text))
}

// expand replaces all ${...}, the inner ones first.
func (m *rplMacros) expand(text string) string {
	for range 1000 {
		start := strings.LastIndex(text, "${")
		if start < 0 {
			return text
		}
		n := strings.IndexByte(text[start:], '}')
		if n < 0 {
			return text
		}
		text = text[:start] + m.value(strings.TrimSpace(text[start+2:start+n])) + text[start+n+1:]
	}
	return text
}

func (m *rplMacros) value(text string) string {
	words := strings.Fields(text)
	switch {
	case text == "time":
		return strconv.FormatInt(m.now().Unix(), 10)
	case text == "timeout":
		return strconv.Itoa(int(m.timeout() / time.Second))
	case len(words) > 1 && words[0] == "ctime":
		return time.Unix(int64(m.sum(strings.Join(words[1:], " "))), 0).UTC().Format(time.ANSIC)
	case len(words) == 4 && words[0] == "range":
		low, v, high := m.sum(words[1]), m.sum(words[2]), m.sum(words[3])
		if v < low || v > high {
			m.t.Errorf("step %d: %v is not within %v and %v", m.step, v, low, high)
		}
		return words[2]
	}
	return strconv.FormatFloat(m.sum(text), 'f', -1, 64)
}

// sum evaluates + - * / from left to right, as the scripts mean it.
func (m *rplMacros) sum(text string) (total float64) {
	for _, op := range "+-*/" {
		text = strings.ReplaceAll(text, string(op), fmt.Sprintf(" %c ", op))
	}
	op := "+"
	for _, w := range strings.Fields(text) {
		if strings.Contains("+-*/", w) {
			op = w
			continue
		}
		v, err := strconv.ParseFloat(w, 64)
		if name, ok := strings.CutPrefix(w, "$"); ok {
			v, err = strconv.ParseFloat(m.vars[name], 64)
		}
		if err != nil {
			m.t.Errorf("step %d: %q in %q", m.step, w, text)
		}
		switch op {
		case "+":
			total += v
		case "-":
			total -= v
		case "*":
			total *= v
		case "/":
			total /= v
		}
	}
	return total
}
