package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"onoma/console"
)

// Remote talks to a lab that runs in another process, through the page's API.
type Remote struct {
	State State
	http  http.Client
}

// Connect finds the lab that runs in dir.
func Connect(dir string) (*Remote, error) {
	s, err := ReadState(dir)
	if err != nil {
		return nil, err
	}
	return &Remote{State: s, http: http.Client{Timeout: 30 * time.Second}}, nil
}

// Register changes a delegation: see [Lab.Register].
func (r *Remote) Register(ctx context.Context, reg Registration) (string, error) {
	return r.change(ctx, "register", reg)
}

// Record changes a customer's zone: see [Lab.Record].
func (r *Remote) Record(ctx context.Context, c RecordChange) (string, error) {
	return r.change(ctx, "record", c)
}

// Security tells how far a zone is on its way to be validated: see [Lab.Security].
func (r *Remote) Security(ctx context.Context, name string) (Security, error) {
	var s Security
	err := r.do(ctx, http.MethodGet, "security?zone="+url.QueryEscape(name), nil, &s)
	return s, err
}

// Topology returns the lab's servers and zones.
func (r *Remote) Topology(ctx context.Context) (console.Topology, error) {
	var t console.Topology
	err := r.do(ctx, http.MethodGet, "topology", nil, &t)
	return t, err
}

func (r *Remote) change(ctx context.Context, what string, v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var reply struct {
		Done string `json:"done"`
	}
	err = r.do(ctx, http.MethodPost, what, body, &reply)
	return reply.Done, err
}

// maxReply bounds what is read from whoever answers at the lab's address.
const maxReply = 16 << 20

func (r *Remote) do(ctx context.Context, method, what string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.State.Console+"api/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("the lab does not answer: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return fmt.Errorf("reading the lab's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var refused struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &refused) == nil && refused.Error != "" {
			return errors.New(refused.Error)
		}
		return fmt.Errorf("the lab answers %s: %s", res.Status, strings.TrimSpace(string(text)))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading the lab's answer: %w", err)
	}
	return nil
}
