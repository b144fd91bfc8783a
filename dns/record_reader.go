package dns

// RecordReader reads the records of a message one after the other, as they stand
// there: OPT too, and TTLs with the top bit set. What it returns shares no memory
// with the message, but names and rdata of its records share theirs.
type RecordReader struct{ d decoder }

// ReadRecords returns a reader of the records that begin at msg[off:].
func ReadRecords(msg []byte, off int) RecordReader { return RecordReader{decoder{msg: msg, off: off}} }

// Offset is where the next record begins.
func (r *RecordReader) Offset() int { return r.d.off }

// Next reads a record. Empty rdata is good for any type: RFC 2136 §2.4 and §2.5
// give it a meaning of its own.
func (r *RecordReader) Next() (Record, error) {
	head, err := parseRecordHead(r.d.msg, r.d.off)
	if err != nil {
		return Record{}, err
	}
	rec, err := r.d.record()
	rec.TTL = head.ttl
	return rec, err
}
