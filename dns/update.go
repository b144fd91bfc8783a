package dns

// Update is a request to change a zone (RFC 2136), as clients make it: the
// methods add what must hold, then what shall change, in that order.
type Update struct{ m Message }

// NewUpdate returns a request that changes nothing of a zone of class IN yet.
func NewUpdate(id uint16, zone Name) *Update {
	return &Update{Message{
		ID: id, Flags: Flags(0).WithOpcode(OpcodeUpdate),
		Questions: []Question{{Name: zone, Type: TypeSOA, Class: ClassIN}},
	}}
}

// Message returns the request, for those who add to it: EDNS, or what no method
// adds. The answer section is that of prerequisites, the authority section that of
// updates (RFC 2136 §2).
func (u *Update) Message() *Message { return &u.m }

// Append appends the request in wire form to dst.
func (u *Update) Append(dst []byte) ([]byte, error) { return u.m.Append(dst) }

func (u *Update) require(n Name, t Type, c Class, data RData) *Update {
	u.m.Answer = append(u.m.Answer, Record{Name: n, Type: t, Class: c, Data: data})
	return u
}

// IfName requires that the name has records (RFC 2136 §2.4.4).
func (u *Update) IfName(n Name) *Update { return u.require(n, TypeANY, ClassANY, nil) }

// IfNoName requires that the name has no records (§2.4.5).
func (u *Update) IfNoName(n Name) *Update { return u.require(n, TypeANY, ClassNONE, nil) }

// IfRRset requires that the name has records of the type (§2.4.1).
func (u *Update) IfRRset(n Name, t Type) *Update { return u.require(n, t, ClassANY, nil) }

// IfNoRRset requires that the name has no records of the type (§2.4.3).
func (u *Update) IfNoRRset(n Name, t Type) *Update { return u.require(n, t, ClassNONE, nil) }

// IfRecord requires that the name has exactly the records of the type that are
// given, this one among them (§2.4.2).
func (u *Update) IfRecord(n Name, t Type, data RData) *Update {
	return u.require(n, t, u.m.Questions[0].Class, data)
}

func (u *Update) change(n Name, t Type, c Class, ttl uint32, data RData) *Update {
	u.m.Authority = append(u.m.Authority, Record{Name: n, Type: t, Class: c, TTL: ttl, Data: data})
	return u
}

// Add adds a record (§2.5.1).
func (u *Update) Add(n Name, ttl uint32, t Type, data RData) *Update {
	return u.change(n, t, u.m.Questions[0].Class, ttl, data)
}

// DeleteRRset removes all records of the type (§2.5.2).
func (u *Update) DeleteRRset(n Name, t Type) *Update { return u.change(n, t, ClassANY, 0, nil) }

// DeleteName removes all records of the name (§2.5.3).
func (u *Update) DeleteName(n Name) *Update { return u.change(n, TypeANY, ClassANY, 0, nil) }

// Delete removes one record (§2.5.4).
func (u *Update) Delete(n Name, t Type, data RData) *Update {
	return u.change(n, t, ClassNONE, 0, data)
}
