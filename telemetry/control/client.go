package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"onoma/telemetry"
)

// Client talks to the Server on a socket.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a Client; it connects when it is first used.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{Transport: &http.Transport{DialContext: dial, IdleConnTimeout: time.Minute}}}
}

// ErrNoServer is returned where nobody listens on the socket.
var ErrNoServer = errors.New("no server listens on the control socket")

// ErrDenied is returned where the socket belongs to another user.
var ErrDenied = errors.New("the control socket may not be opened")

// Call asks for a route, whose segments are escaped (url.PathEscape). in is sent as JSON, and the answer read into out, or copied to it if it is an io.Writer. The error is
// a *Problem where the server sent one.
func (c *Client) Call(ctx context.Context, method, route string, args url.Values, in, out any) error {
	path, err := url.PathUnescape(route)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	u := url.URL{Scheme: "http", Host: "onoma", Path: path, RawPath: route, RawQuery: args.Encode()}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	return read(resp, out)
}

func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: %w", c.path, ErrNoServer)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w", c.path, ErrDenied)
	}
	return fmt.Errorf("asking the server on %s: %w", c.path, err)
}

func read(resp *http.Response, out any) error {
	if resp.StatusCode == http.StatusOK {
		if w, ok := out.(io.Writer); ok {
			if _, err := io.Copy(w, resp.Body); err != nil {
				return fmt.Errorf("reading the server's answer: %w", err)
			}
			return nil
		}
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		return nil
	}
	p := &Problem{Status: resp.StatusCode}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if json.Unmarshal(b, p) != nil || p.Message == "" {
		p.Message = "the server says " + resp.Status
	}
	return p
}

// Report asks for the server's numbers.
func (c *Client) Report(ctx context.Context) (r telemetry.Report, err error) {
	err = c.Call(ctx, http.MethodGet, routeReport, nil, nil, &r)
	return r, err
}

// Top asks for heavy hitters: the first n of each kind in the last window.
func (c *Client) Top(ctx context.Context, window time.Duration, n int) (t telemetry.Top, err error) {
	args := url.Values{"window": {window.String()}, "n": {fmt.Sprint(n)}}
	err = c.Call(ctx, http.MethodGet, routeTop, args, nil, &t)
	return t, err
}

// Zones asks which zones are served, and returns them in the order of their names.
func (c *Client) Zones(ctx context.Context) (zones []telemetry.Zone, err error) {
	err = c.Call(ctx, http.MethodGet, routeZones, nil, nil, &zones)
	slices.SortFunc(zones, func(a, b telemetry.Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones, err
}

// Dump writes the text of a zone to w.
func (c *Client) Dump(ctx context.Context, zone string, w io.Writer) error {
	return c.Call(ctx, http.MethodGet, routeDump, url.Values{"zone": {zone}}, nil, w)
}

// Reload has the server read a zone again, or all where zone is empty.
func (c *Client) Reload(ctx context.Context, zone string) (done []Reloaded, err error) {
	err = c.Call(ctx, http.MethodPost, routeReload, nil, ReloadRequest{zone}, &done)
	return done, err
}
