package control

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ZoneClient asks for what concerns one zone.
type ZoneClient struct {
	client *Client
	route  string
	view   string
}

// Zone returns the way to one zone, of one view where the server has several.
func (c *Client) Zone(name, view string) *ZoneClient {
	escaped := url.PathEscape(name)
	if strings.Trim(name, ".") == "" {
		escaped = strings.ReplaceAll(name, ".", "%2E") // the root's would be taken for "this directory"
	}
	return &ZoneClient{c, routeZones + "/" + escaped, view}
}

// get asks for something to read; args are keys and values by turns, of which those without a value are left out.
func (z *ZoneClient) get(ctx context.Context, what string, out any, args ...string) error {
	return z.client.Call(ctx, http.MethodGet, z.route+what, z.args(args), nil, out)
}

func (z *ZoneClient) post(ctx context.Context, what string, in, out any) error {
	return z.client.Call(ctx, http.MethodPost, z.route+what, z.args(nil), in, out)
}

func (z *ZoneClient) args(args []string) url.Values {
	v := url.Values{}
	for pair := range slices.Chunk(append(args, "view", z.view), 2) {
		if pair[1] != "" {
			v.Set(pair[0], pair[1])
		}
	}
	return v
}

// ZoneLines asks for the zones, and returns them in the order of their names.
func (c *Client) ZoneLines(ctx context.Context) (zones []ZoneLine, err error) {
	err = c.Call(ctx, http.MethodGet, routeZones, nil, nil, &zones)
	slices.SortFunc(zones, func(a, b ZoneLine) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.View, b.View))
	})
	return zones, err
}

// Detail asks for all about the zone.
func (z *ZoneClient) Detail(ctx context.Context) (d ZoneDetail, err error) {
	err = z.get(ctx, "", &d)
	return d, err
}

// Wait returns when all secondaries serve that serial number, or the one that the server serves where serial is nil, or the time
// is over.
func (z *ZoneClient) Wait(ctx context.Context, serial *uint32, timeout time.Duration) (r WaitResult, err error) {
	args := []string{"timeout", timeout.String()}
	if serial != nil {
		args = append(args, "serial", fmt.Sprint(*serial))
	}
	err = z.get(ctx, "/wait", &r, args...)
	return r, err
}

// Propagation asks how far the secondaries are.
func (z *ZoneClient) Propagation(ctx context.Context) (p Propagation, err error) {
	err = z.get(ctx, "/propagation", &p)
	return p, err
}

// Log asks for the versions below the one with that number, newest first; below 0: from the newest.
func (z *ZoneClient) Log(ctx context.Context, below uint64, most int) (v []VersionLine, err error) {
	err = z.get(ctx, "/versions", &v, "below", fmt.Sprint(below), "most", fmt.Sprint(most))
	return v, err
}

// Diff asks what turns one version into another.
func (z *ZoneClient) Diff(ctx context.Context, from, to uint64) (d Difference, err error) {
	err = z.get(ctx, "/diff", &d, "from", fmt.Sprint(from), "to", fmt.Sprint(to))
	return d, err
}

// Blame asks which version each record of a name came with.
func (z *ZoneClient) Blame(ctx context.Context, name string) (b []Blamed, err error) {
	err = z.get(ctx, "/blame", &b, "name", name)
	return b, err
}

// Text writes a version as a zone file to w; version 0 is the one that is served.
func (z *ZoneClient) Text(ctx context.Context, version uint64, w io.Writer) error {
	if version == 0 {
		return z.get(ctx, "/text", w)
	}
	return z.get(ctx, fmt.Sprintf("/versions/%d/text", version), w)
}

// RefusedText writes the version that was refused last to w.
func (z *ZoneClient) RefusedText(ctx context.Context, w io.Writer) error {
	return z.get(ctx, "/refused/text", w)
}

// Change asks for a change.
func (z *ZoneClient) Change(ctx context.Context, req ChangeRequest) (r Receipt, err error) {
	err = z.post(ctx, "/changes", req, &r)
	return r, err
}

// Rollback asks for the content of an earlier version.
func (z *ZoneClient) Rollback(ctx context.Context, req RollbackRequest) (r Receipt, err error) {
	err = z.post(ctx, "/rollback", req, &r)
	return r, err
}

// Do asks for one of "reload", "take-file", "refresh", "retransfer" and "notify".
func (z *ZoneClient) Do(ctx context.Context, what string) (d Done, err error) {
	err = z.post(ctx, "/"+what, struct{}{}, &d)
	return d, err
}

// Backup has the database written to a new file on the server's machine.
func (c *Client) Backup(ctx context.Context, file string) (r BackupResult, err error) {
	err = c.Call(ctx, http.MethodPost, routeBackup, nil, BackupRequest{file}, &r)
	return r, err
}

// CheckStore asks whether the database is sound.
func (c *Client) CheckStore(ctx context.Context) (r StoreCheck, err error) {
	err = c.Call(ctx, http.MethodPost, routeCheckStore, nil, nil, &r)
	return r, err
}

// ReloadConfig has the server read its configuration again.
func (c *Client) ReloadConfig(ctx context.Context) (r ConfigReload, err error) {
	err = c.Call(ctx, http.MethodPost, routeReloadConfig, nil, nil, &r)
	return r, err
}
