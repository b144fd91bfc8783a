package xdp

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// explained adds to an error what a person can do about it.
func explained(err error, iface string) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		if lacking := lackingRights(); len(lacking) > 0 {
			hint = fmt.Sprintf("this process lacks %s; run it as root, or give its service AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF",
				strings.Join(lacking, ", "))
		} else {
			hint = "something beyond capabilities forbids it: a user namespace, a container's profile or a security module"
		}
	case isTaken(err):
		hint = fmt.Sprintf("another program is attached to the interface or its queue; end it, or take it off by ip link set dev %s xdp off", iface)
	case errors.Is(err, unix.ENOBUFS):
		hint = "too little memory may be locked; raise ulimit -l (LimitMEMLOCK=infinity) or give CAP_IPC_LOCK"
	case errors.Is(err, unix.EAFNOSUPPORT):
		hint = "this kernel was built without CONFIG_XDP_SOCKETS"
	case errors.Is(err, unix.EOPNOTSUPP):
		hint = "the interface's driver cannot do it; mode=generic works with every driver"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		hint = "Linux 5.11 or later is needed"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// needed are the capabilities that XDP wants: to attach, to open a raw socket, to load a program.
var needed = []struct {
	name string
	bit  uint
}{{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_NET_RAW", unix.CAP_NET_RAW}, {"CAP_BPF", unix.CAP_BPF}}

// lackingRights names those of needed that the process does not have.
func lackingRights() []string {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil
	}
	effective := uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	if effective&(1<<unix.CAP_SYS_ADMIN) != 0 {
		effective |= 1 << unix.CAP_BPF // which was carved out of it
	}
	var lacking []string
	for _, c := range needed {
		if effective&(1<<c.bit) == 0 {
			lacking = append(lacking, c.name)
		}
	}
	return lacking
}

// pinnable returns the CPUs that this process may use, nil where pinning is not wanted.
func pinnable(pin bool) (cpus []int, err error) {
	if !pin {
		return nil, nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading which CPUs may be used: %w", err)
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// channels is struct ethtool_channels.
type channels struct {
	cmd                                         uint32
	maxRx, maxTx, maxOther, maxCombined         uint32
	rxCount, txCount, otherCount, combinedCount uint32
}

// receiveQueues returns how many receive queues an interface uses: by ethtool, else by sysfs, else one.
func receiveQueues(iface string) int {
	if n := ethtoolQueues(iface); n > 0 {
		return n
	}
	dirs, _ := filepath.Glob(filepath.Join("/sys/class/net", iface, "queues", "rx-*"))
	return max(1, len(dirs))
}

func ethtoolQueues(iface string) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	ch := channels{cmd: unix.ETHTOOL_GCHANNELS}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq
	}
	copy(req.name[:unix.IFNAMSIZ-1], iface)
	req.data = unsafe.Pointer(&ch)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return 0
	}
	return int(ch.rxCount + ch.combinedCount)
}
