package authority

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"onoma/dns"
)

// maxKeyFile is the most octets that a file of keys may have: a thousand keys
// take a tenth of it.
const maxKeyFile = 1 << 20

// ReadKeys reads a file of TSIG keys. open says that others than its owner and
// group can read it, too.
func ReadKeys(path string) (keys []dns.TSIGKey, open bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("reading TSIG keys: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, false, fmt.Errorf("reading TSIG keys: %s has %d octets, expected at most %d", path, info.Size(), maxKeyFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("reading TSIG keys: %w", err)
	}
	if keys, err = ParseKeys(string(text)); err != nil {
		return nil, false, fmt.Errorf("reading TSIG keys: %s:%w", path, err)
	}
	const othersRead fs.FileMode = 0o004
	return keys, info.Mode().Perm()&othersRead != 0, nil
}

// ParseKeys reads TSIG keys in either of two forms: NAME ALGORITHM SECRET, one a
// line, and the statement that tsig-keygen writes:
//
//	key "NAME" { algorithm ALGORITHM; secret "SECRET"; };
//
// The secret is in Base64. Remarks begin with #, // or ;; and end with the line.
// An error begins with the number of the line. No error tells a secret.
func ParseKeys(text string) ([]dns.TSIGKey, error) {
	p := keyParser{words: keyWords(text)}
	var keys []dns.TSIGKey
	seen := make(map[dns.Name]bool)
	for len(p.words) > 0 {
		line := p.words[0].line
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		if seen[k.Name.Fold()] {
			return nil, fmt.Errorf("%d: key %s once more, expected each once", line, k.Name)
		}
		seen[k.Name.Fold()] = true
		keys = append(keys, k)
	}
	return keys, nil
}

// keyWord is a word of a file of keys: one of { } ; or what is between them and
// blanks, or between quotation marks.
type keyWord struct {
	text   string
	line   int
	quoted bool
}

// keyWords takes text apart.
func keyWords(text string) []keyWord {
	var words []keyWord
	for i, line := range strings.Split(text, "\n") {
		words = appendKeyWords(words, line, i+1)
	}
	return words
}

func appendKeyWords(words []keyWord, line string, number int) []keyWord {
	for {
		line = strings.TrimLeft(line, " \t\r")
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(line, "//") || strings.HasPrefix(line, ";;"):
			return words
		case line[0] == '"':
			inside, rest, _ := strings.Cut(line[1:], `"`)
			words, line = append(words, keyWord{inside, number, true}), rest
		case strings.IndexByte("{};", line[0]) >= 0:
			words, line = append(words, keyWord{line[:1], number, false}), line[1:]
		default:
			n := strings.IndexAny(line, " \t\r{};\"")
			if n < 0 {
				n = len(line)
			}
			words, line = append(words, keyWord{line[:n], number, false}), line[n:]
		}
	}
}

// keyParser reads keys from words.
type keyParser struct {
	words []keyWord
	line  int // of the word that was read last
}

func (p *keyParser) next() keyWord {
	if len(p.words) == 0 {
		return keyWord{line: p.line}
	}
	w := p.words[0]
	p.words, p.line = p.words[1:], w.line
	return w
}

// expect reads a word that has to be there.
func (p *keyParser) expect(text string) error {
	if w := p.next(); w.quoted || w.text != text {
		return fmt.Errorf("%d: expected %q in the statement of a key", p.line, text)
	}
	return nil
}

// key reads one key, in either form.
func (p *keyParser) key() (dns.TSIGKey, error) {
	first := p.next()
	if !first.quoted && first.text == "key" && len(p.words) > 1 && p.words[1].text == "{" {
		return p.statement()
	}
	algorithm, secret := p.next(), p.next()
	if algorithm.line != first.line || secret.line != first.line || secret.text == "" {
		return dns.TSIGKey{}, fmt.Errorf("%d: expected NAME ALGORITHM SECRET", first.line)
	}
	return newKey(first, algorithm, secret)
}

// statement reads what is behind the word key.
func (p *keyParser) statement() (dns.TSIGKey, error) {
	name := p.next()
	parts := make(map[string]keyWord)
	if err := p.expect("{"); err != nil {
		return dns.TSIGKey{}, err
	}
	for {
		what := p.next()
		if what.text == "}" && !what.quoted {
			break
		}
		if what.text != "algorithm" && what.text != "secret" {
			return dns.TSIGKey{}, fmt.Errorf("%d: expected algorithm, secret or } in the statement of a key", p.line)
		}
		parts[what.text] = p.next()
		if err := p.expect(";"); err != nil {
			return dns.TSIGKey{}, err
		}
	}
	if len(p.words) > 0 && p.words[0].text == ";" {
		p.next()
	}
	for _, what := range []string{"algorithm", "secret"} {
		if parts[what].text == "" {
			return dns.TSIGKey{}, fmt.Errorf("%d: key %s has no %s", name.line, name.text, what)
		}
	}
	return newKey(name, parts["algorithm"], parts["secret"])
}

func newKey(name, algorithm, secret keyWord) (k dns.TSIGKey, err error) {
	if k.Name, err = dns.ParseName(name.text); err != nil {
		return k, fmt.Errorf("%d: name of a key: %w", name.line, err)
	}
	if k.Algorithm, err = dns.ParseTSIGAlgorithm(algorithm.text); err != nil {
		return k, fmt.Errorf("%d: key %s: %w", algorithm.line, k.Name, err)
	}
	if k.Secret, err = base64.StdEncoding.DecodeString(secret.text); err != nil || len(k.Secret) == 0 {
		return k, fmt.Errorf("%d: key %s: %w", secret.line, k.Name, errSecret)
	}
	return k, nil
}

var errSecret = errors.New("the secret is not Base64, expected what tsig-keygen or \"openssl rand -base64 32\" gives")
