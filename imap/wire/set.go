package wire

// Range is a range of sequence numbers or UIDs, both ends included; 0 stands
// for "*". The ends may come in any order (RFC 9051, 9: seq-range).
type Range struct{ From, To uint32 }

// NumSet is a sequence-set of RFC 9051. Saved stands for "$", the result of
// the last SEARCH RETURN (SAVE) (RFC 5182).
type NumSet struct {
	Ranges []Range
	Saved  bool
}

// NumSet takes a set.
func (r *Reader) NumSet() (s NumSet) {
	if r.Accept('$') {
		s.Saved = true
		return s
	}
	for r.err == nil {
		x := Range{From: r.seqNumber()}
		x.To = x.From
		if r.Accept(':') {
			x.To = r.seqNumber()
		}
		s.Ranges = append(s.Ranges, x)
		if !r.Accept(',') {
			return s
		}
	}
	return NumSet{}
}

func (r *Reader) seqNumber() uint32 {
	if r.Accept('*') {
		return 0
	}
	n := r.Number()
	if n == 0 {
		r.Fail("message number expected")
	}
	return n
}

// Resolve gives the range with "*" replaced by most and its ends in order.
func (x Range) Resolve(most uint32) (from, to uint32) {
	from, to = x.From, x.To
	if from == 0 {
		from = most
	}
	if to == 0 {
		to = most
	}
	if from > to {
		from, to = to, from
	}
	return from, to
}
