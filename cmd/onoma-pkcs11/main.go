// Command onoma-pkcs11 lets onoma use the keys of one PKCS #11 token: it loads the
// library of the token's maker, which is C, and signs for who may open its Unix
// socket, the same user alone. It is the only program of the house that needs a C
// compiler; built without one, it says so. onoma starts it by itself for tokens in
// its configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"onoma/signer/keystore"
	"onoma/signer/keystore/token"
)

func main() {
	err := run(os.Args[1:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, token.ErrPIN):
		fmt.Fprintln(os.Stderr, "onoma-pkcs11:", err)
		os.Exit(token.ExitPIN)
	default:
		fmt.Fprintln(os.Stderr, "onoma-pkcs11:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("onoma-pkcs11", flag.ContinueOnError)
	module := flags.String("module", "", "the PKCS #11 `library` of the token's maker, such as /usr/lib/softhsm/libsofthsm2.so")
	label := flags.String("token", "", "the `label` of the token")
	pin := flags.String("pin", "", "where the PIN is: file:PATH, env:NAME or credential:NAME")
	socket := flags.String("socket", "", "the `path` of the socket to listen on")
	child := flags.Bool("child", false, "end when standard input ends, as it does with who started this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *module == "" || *label == "" || *pin == "" || *socket == "" {
		return errors.New("-module, -token, -pin and -socket are all needed")
	}
	secret, err := keystore.Secret(*pin, os.Getenv)
	if err != nil {
		return err
	}
	backend, err := open(*module, *label, string(secret))
	if err != nil {
		return err
	}
	defer backend.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *child {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	l, err := listen(*socket)
	if err != nil {
		return err
	}
	return token.Serve(ctx, l, backend)
}

// listen makes the socket with a mode that lets nobody else in from its first
// moment.
func listen(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
