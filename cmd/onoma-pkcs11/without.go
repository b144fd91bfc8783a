//go:build !cgo

package main

import (
	"errors"

	"onoma/signer/keystore/token"
)

type closer interface {
	token.Backend
	Close()
}

func open(_, _, _ string) (closer, error) {
	return nil, errors.New("this onoma-pkcs11 was built without a C compiler, so that it can load no PKCS #11 library: build it by CGO_ENABLED=1 go build ./cmd/onoma-pkcs11")
}
