// Package xdp compares what onoma answers by AF_XDP with what it answers over sockets: not a bit may differ.
package xdp
