package keystore

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// minSecret is how many octets a secret has at least: random ones, no pass phrase,
// since nothing slows down who tries many.
const minSecret = 32

// howToMake is what to do for a good secret.
const howToMake = "make one by: head -c 32 /dev/urandom | base64"

// SealFrom reads the secret that keys are sealed under: file:PATH, env:NAME, or
// credential:NAME, which systemd puts into the folder $CREDENTIALS_DIRECTORY. The
// empty spec is no seal. Blanks and line ends around it do not count.
func SealFrom(spec string, getenv func(string) string) ([]byte, error) {
	if spec == "" {
		return nil, nil
	}
	secret, err := readSecret(spec, getenv)
	if err != nil {
		return nil, fmt.Errorf("reading the seal of keys: %w", err)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("reading the seal of keys: %s has %d octets; %d at least were expected: %s", spec, len(secret), minSecret, howToMake)
	}
	return secret, nil
}

// Secret reads any other secret that is given as SealFrom has it: a PIN.
func Secret(spec string, getenv func(string) string) ([]byte, error) {
	secret, err := readSecret(spec, getenv)
	if err == nil && len(secret) == 0 {
		err = fmt.Errorf("%s is empty", spec)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	return secret, nil
}

func readSecret(spec string, getenv func(string) string) ([]byte, error) {
	kind, name, _ := strings.Cut(spec, ":")
	switch {
	case kind == "file" && name != "":
		return readSecretFile(name, true)
	case kind == "env" && name != "":
		v := getenv(name)
		if v == "" {
			return nil, fmt.Errorf("%s is not set in the environment", name)
		}
		return []byte(strings.TrimSpace(v)), nil
	case kind == "credential" && name != "":
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" || name != filepath.Base(name) {
			return nil, fmt.Errorf("credential %q: CREDENTIALS_DIRECTORY is not set: in the service's unit, LoadCredential=%s:PATH gives it", name, name)
		}
		return readSecretFile(filepath.Join(dir, name), false) // systemd guards it
	}
	return nil, fmt.Errorf("%q: file:PATH, env:NAME or credential:NAME was expected", clip(spec))
}

func clip(s string) string { return s[:min(len(s), 40)] }

func readSecretFile(path string, guard bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if guard && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o: chmod 600 %s", ErrExposed, path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	return bytes.TrimSpace(b), err
}

// seal closes and opens bodies.
type seal struct {
	print string // its fingerprint, which tells nothing of the secret
	aead  cipher.AEAD
}

func newSeal(secret []byte) seal {
	derive := func(info string, n int) []byte {
		b, err := hkdf.Key(sha256.New, secret, nil, info, n)
		if err != nil {
			panic(err) // lengths are ours
		}
		return b
	}
	aead, err := chacha20poly1305.NewX(derive("onoma keystore 1: seal", chacha20poly1305.KeySize))
	if err != nil {
		panic(err) // the same
	}
	return seal{hex.EncodeToString(derive("onoma keystore 1: fingerprint", 8)), aead}
}

func findSeal(seals []seal, print string) (seal, bool) {
	for _, x := range seals {
		if x.print == print {
			return x, true
		}
	}
	return seal{}, false
}

// close encrypts; the nonce of 24 octets stands first and may be random.
func (x *seal) close(plain, binding []byte, random io.Reader) ([]byte, error) {
	nonce := make([]byte, x.aead.NonceSize())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return x.aead.Seal(nonce, nonce, plain, binding), nil
}

func (x *seal) open(body, binding []byte) ([]byte, error) {
	n := x.aead.NonceSize()
	if len(body) < n {
		return nil, errShortSeal
	}
	plain, err := x.aead.Open(nil, body[:n], body[n:], binding)
	if err != nil {
		return nil, errors.New("it does not open")
	}
	return plain, nil
}
