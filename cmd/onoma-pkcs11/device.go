//go:build cgo

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"onoma/signer/keystore/token"
)

// device is a token, logged in. Operations hold mu for reading, so that nobody uses
// a session while all of them are opened anew.
type device struct {
	module, label, pin string

	mu       sync.RWMutex
	lib      *pkcs11.Ctx
	slot     uint
	sessions chan pkcs11.SessionHandle // each of one operation at a time
	refused  error                     // the PIN was wrong: it is not tried again

	keysMu sync.Mutex
	keys   map[string]key // private keys that were found since the login
}

// key is a private key in the token.
type key struct {
	object pkcs11.ObjectHandle
	kind   uint // CKK_...
}

// parallel is how many operations may be under way.
const parallel = 4

func open(module, label, pin string) (*device, error) {
	d := &device{module: module, label: label, pin: pin}
	d.lib = pkcs11.New(module)
	if d.lib == nil {
		return nil, fmt.Errorf("%s is no PKCS #11 library that can be loaded here", module)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.login(); err != nil {
		return nil, err
	}
	return d, nil
}

// Close logs out.
func (d *device) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lib.Finalize()
	d.lib.Destroy()
}

// login finds the token and opens sessions; the caller holds mu.
func (d *device) login() error {
	if d.refused != nil {
		return d.refused
	}
	d.sessions = nil
	d.keysMu.Lock()
	d.keys = map[string]key{}
	d.keysMu.Unlock()
	if err := d.lib.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return fmt.Errorf("%w: starting %s: %w", token.ErrGone, d.module, err)
	}
	if err := d.find(); err != nil {
		return err
	}
	sessions := make(chan pkcs11.SessionHandle, parallel)
	for range parallel {
		s, err := d.lib.OpenSession(d.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		if err != nil {
			return fmt.Errorf("%w: opening a session with %q: %w", token.ErrGone, d.label, err)
		}
		if len(sessions) == 0 { // for all sessions of this process (PKCS #11 §5.6)
			if err := d.enter(s); err != nil {
				return err
			}
		}
		sessions <- s
	}
	d.sessions = sessions
	return nil
}

func (d *device) enter(s pkcs11.SessionHandle) error {
	err := d.lib.Login(s, pkcs11.CKU_USER, d.pin)
	switch {
	case err == nil || is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case is(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED):
		d.refused = fmt.Errorf("%w of %q: %w", token.ErrPIN, d.label, err)
		return d.refused
	}
	return fmt.Errorf("%w: logging in to %q: %w", token.ErrGone, d.label, err)
}

// find looks for the slot that has the token.
func (d *device) find() error {
	slots, err := d.lib.GetSlotList(true)
	if err != nil {
		return fmt.Errorf("%w: listing slots: %w", token.ErrGone, err)
	}
	var there []string
	for _, slot := range slots {
		info, err := d.lib.GetTokenInfo(slot)
		if err != nil {
			continue
		}
		if label := strings.TrimRight(info.Label, " \x00"); label == d.label {
			d.slot = slot
			return nil
		} else if label != "" {
			there = append(there, fmt.Sprintf("%q", label))
		}
	}
	return fmt.Errorf("%w: no slot has a token with the label %q; there are: %s", token.ErrGone, d.label, strings.Join(append(there, "no others"), ", "))
}

// do runs an operation in a session. Where the token was away meanwhile, it is
// looked for anew, once.
func (d *device) do(what string, op func(s pkcs11.SessionHandle) error) error {
	err := d.try(op)
	if isAway(err) {
		d.mu.Lock()
		d.lib.Finalize()
		again := d.login()
		d.mu.Unlock()
		if again != nil {
			return again
		}
		err = d.try(op)
	}
	switch {
	case err == nil, errors.Is(err, token.ErrNoKey), errors.Is(err, token.ErrDenied), errors.Is(err, token.ErrGone):
		return err
	case isAway(err):
		return fmt.Errorf("%w: %s: %w", token.ErrGone, what, err)
	}
	return fmt.Errorf("%w: %s: %w", token.ErrDenied, what, err)
}

// errNoSession is what operations find after a login that failed.
var errNoSession = errors.New("no session is open")

func (d *device) try(op func(s pkcs11.SessionHandle) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.sessions == nil {
		return errNoSession
	}
	s := <-d.sessions
	defer func() { d.sessions <- s }()
	return op(s)
}

func is(err error, codes ...uint) bool {
	var got pkcs11.Error
	if !errors.As(err, &got) {
		return false
	}
	for _, code := range codes {
		if uint(got) == code {
			return true
		}
	}
	return false
}

// isAway says that the token was gone, or is another than it was.
func isAway(err error) bool {
	return errors.Is(err, errNoSession) || is(err, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_TOKEN_NOT_PRESENT,
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_KEY_HANDLE_INVALID,
		pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)
}

// Ping says whether the token is there.
func (d *device) Ping() error {
	return d.do("asking for its state", func(s pkcs11.SessionHandle) error {
		_, err := d.lib.GetSessionInfo(s)
		return err
	})
}
