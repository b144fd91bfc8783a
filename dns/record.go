package dns

// RData is the data of one record in wire form, the names within it
// uncompressed and in the case that they came in.
type RData []byte

// Record is one resource record (RFC 1035 §3.2.1).
type Record struct {
	Name  Name
	Type  Type
	Class Class
	TTL   uint32 // seconds, at most MaxTTL
	Data  RData
}

// MaxTTL is the largest TTL in seconds (RFC 2181 §8).
const MaxTTL = 1<<31 - 1

// String returns the record as a line of a master file, without the newline.
func (r Record) String() string { return string(r.AppendText(nil)) }

// AppendText appends the record as a line of a master file, without the
// newline: owner, TTL, class, type and rdata, separated by tabs.
func (r Record) AppendText(dst []byte) []byte {
	dst = appendNameText(dst, r.Name.wire)
	dst = append(dst, '\t')
	dst = appendUint(dst, uint64(r.TTL))
	dst = append(dst, '\t')
	dst = append(dst, r.Class.String()...)
	dst = append(dst, '\t')
	dst = r.Type.Append(dst)
	dst = append(dst, '\t')
	return AppendRDataText(dst, r.Type, r.Data)
}

// Question is what a query asks (RFC 1035 §4.1.2).
type Question struct {
	Name  Name
	Type  Type
	Class Class
}

// String returns the question as dig shows it: name, class, type.
func (q Question) String() string {
	return q.Name.String() + " " + q.Class.String() + " " + q.Type.String()
}
