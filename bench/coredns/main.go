// Command coredns is CoreDNS with the plugins that an authority needs and no others: files of zones, a
// directory of them, TLS, minimal answers, an address to listen on. It is a module of its own, so that the
// product does not depend on CoreDNS; bench builds it where its modules can be had.
package main

import (
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/auto"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/tls"
)

func main() { coremain.Run() }
