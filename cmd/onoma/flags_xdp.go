package main

import (
	"onoma/transport"
	"onoma/transport/xdp"
)

// listenXDP attaches to the interfaces that are to be listened on, or to none. cfg is that of the sockets beside them.
func listenXDP(listen []endpoint, cfg transport.Config) (servers []*xdp.Server, err error) {
	cfg.Addrs, cfg.TLSAddrs, cfg.TLSConfig = nil, nil, nil
	for _, e := range listen {
		if e.scheme != "xdp" {
			continue
		}
		c := e.xdp
		c.Sockets = cfg
		s, err := xdp.Listen(c)
		if err != nil {
			closeXDP(servers)
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func closeXDP(servers []*xdp.Server) {
	for _, s := range servers {
		s.Close()
	}
}
