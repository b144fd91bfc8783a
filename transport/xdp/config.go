package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"onoma/transport"
)

// Scheme is what a listener's address begins with on the command line.
const Scheme = "xdp://"

// defaultPort is that of DNS.
const defaultPort = 53

// Mode says where the kernel runs the program.
type Mode uint8

const (
	Auto    Mode = iota // in the driver where it can, else in the kernel's stack
	Native              // in the driver
	Generic             // in the stack: every driver, but slower
)

var modeNames = [...]string{Auto: "auto", Native: "native", Generic: "generic"}

// String returns the name in lower case, as in "native".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Config says which interface to listen on and for whom.
type Config struct {
	Interface string
	Port      uint16       // 0: 53
	Addrs     []netip.Addr // what to answer for; nil: what the interface has when Listen is called, but link-local addresses
	Mode      Mode
	// Strict makes Listen fail where there is no AF_XDP to be had, instead of answering over sockets alone.
	Strict bool

	// Sockets is for what the kernel is passed: TCP, and UDP in fragments or with IP options. Its Handler answers XDP's
	// queries as well, its Pin and DSCP are XDP's too, and its Addrs are overwritten.
	Sockets transport.Config
}

// maxAddrs bounds the addresses, which the program compares one by one.
const maxAddrs = 64

// Parse reads a listener of the command line: xdp://IFACE, xdp://IFACE:PORT, and behind a question mark
// addr=ADDRESS (again for more), mode=native or mode=generic, fallback=off.
func Parse(text string) (Config, error) {
	cfg := Config{Port: defaultPort}
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return cfg, fmt.Errorf("%q: %w", text, errSyntax)
	}
	rest, query, _ := strings.Cut(rest, "?")
	cfg.Interface = rest
	if name, port, ok := strings.Cut(rest, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return cfg, fmt.Errorf("%q: port %q is not one of 1 to 65535: %w", text, port, errSyntax)
		}
		cfg.Interface, cfg.Port = name, uint16(n)
	}
	if cfg.Interface == "" || strings.ContainsAny(cfg.Interface, "/ ") {
		return cfg, fmt.Errorf("%q: %q is no interface: %w", text, cfg.Interface, errSyntax)
	}
	options, err := url.ParseQuery(query)
	if err != nil {
		return cfg, fmt.Errorf("%q: %w: %w", text, err, errSyntax)
	}
	for key, values := range options {
		for _, v := range values {
			if err := cfg.option(key, v); err != nil {
				return cfg, fmt.Errorf("%q: %w", text, err)
			}
		}
	}
	return cfg, nil
}

// String returns the listener without its options, as in "xdp://eth0:53".
func (c Config) String() string { return fmt.Sprintf("%s%s:%d", Scheme, c.Interface, c.Port) }

var errSyntax = errors.New("expected xdp://IFACE or xdp://IFACE:PORT, as in xdp://eth0:53")

// option sets what key=v asks for.
func (c *Config) option(key, v string) error {
	switch key {
	case "addr":
		a, err := netip.ParseAddr(v)
		if err != nil {
			return fmt.Errorf("addr=%s: %w", v, err)
		}
		c.Addrs = append(c.Addrs, a)
	case "mode":
		i := slices.Index(modeNames[:], v)
		if i < 0 {
			return fmt.Errorf("mode=%s: expected auto, native or generic", v)
		}
		c.Mode = Mode(i)
	case "fallback":
		if v != "on" && v != "off" {
			return fmt.Errorf("fallback=%s: expected on or off", v)
		}
		c.Strict = v == "off"
	default:
		return fmt.Errorf("no option %s: expected addr, mode or fallback", key)
	}
	return nil
}
