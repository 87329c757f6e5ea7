package wire

import (
	"iter"
	"strconv"
)

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

// Runs gives the runs of consecutive numbers in an ascending list.
func Runs(list []uint32) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for i := 0; i < len(list); {
			j := i
			for j+1 < len(list) && list[j+1] == list[j]+1 {
				j++
			}
			if !yield(Range{list[i], list[j]}) {
				return
			}
			i = j + 1
		}
	}
}

// AppendSet appends ascending numbers as a set, runs joined.
func AppendSet(b []byte, list []uint32) []byte {
	start := len(b)
	for r := range Runs(list) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.From), 10)
		if r.To > r.From {
			b = strconv.AppendUint(append(b, ':'), uint64(r.To), 10)
		}
	}
	return b
}
