package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
)

// Doctor is admin/doctor: it looks for what is wrong.
type Doctor interface {
	// Checks lists what can be asked.
	Checks(ctx context.Context) []check.Check
	// Run runs the checks with these IDs, or all.
	Run(ctx context.Context, only ...string) []check.Finding
	// Last gives what the last night found, and when that was.
	Last(ctx context.Context) ([]check.Finding, time.Time, error)
	// Mark writes into older findings which of them are muted now.
	Mark(ctx context.Context, found []check.Finding)
	// Mute silences an ID, for one subject or for all ("").
	Mute(ctx context.Context, id, subject, reason string) error
	// Unmute ends that.
	Unmute(ctx context.Context, id, subject string) error
}

// DoctorQuery is what doctor.run takes.
type DoctorQuery struct {
	Only []string `json:"only,omitempty"` // IDs; none means all
}

// DoctorCheck is one line of doctor.list.
type DoctorCheck struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// DoctorLast is what doctor.last gives: what the last whole run found, of the
// night or since by whoever asked this process, without looking again. Found is
// zero where there was none yet.
type DoctorLast struct {
	Found    time.Time       `json:"found,omitzero"`
	Findings []check.Finding `json:"findings"`
}

// DoctorMute is what doctor.mute and doctor.unmute take.
type DoctorMute struct {
	ID      string `json:"id"`
	Subject string `json:"subject,omitempty"` // "" is every subject
	Reason  string `json:"reason,omitempty"`
}

func (o *Ops) doctorRun(ctx context.Context, in DoctorQuery) ([]check.Finding, error) {
	for _, id := range in.Only {
		if err := o.knownCheck(ctx, id); err != nil {
			return nil, err
		}
	}
	found := o.Doctor.Run(ctx, in.Only...)
	if len(in.Only) == 0 {
		o.looking.Lock()
		defer o.looking.Unlock()
		o.looked = DoctorLast{Found: time.Now(), Findings: slices.Clone(found)}
	}
	return found, nil
}

func (o *Ops) doctorList(ctx context.Context, _ None) ([]DoctorCheck, error) {
	var all []DoctorCheck
	for _, c := range o.Doctor.Checks(ctx) {
		all = append(all, DoctorCheck{c.ID, c.Title})
	}
	return all, nil
}

func (o *Ops) doctorLast(ctx context.Context, _ None) (last DoctorLast, err error) {
	last.Findings, last.Found, err = o.Doctor.Last(ctx)
	o.looking.Lock()
	if o.looked.Found.After(last.Found) {
		last = DoctorLast{Found: o.looked.Found, Findings: slices.Clone(o.looked.Findings)}
	}
	o.looking.Unlock()
	o.Doctor.Mark(ctx, last.Findings)
	return last, err
}

func (o *Ops) doctorMute(ctx context.Context, in DoctorMute) (None, error) {
	if err := o.knownCheck(ctx, in.ID); err != nil {
		return None{}, err
	}
	if strings.TrimSpace(in.Reason) == "" {
		return None{}, invalid("say why, so that you know it a year from now", "there is no reason")
	}
	return None{}, o.Doctor.Mute(ctx, in.ID, in.Subject, in.Reason)
}

func (o *Ops) doctorUnmute(ctx context.Context, in DoctorMute) (None, error) {
	return None{}, o.Doctor.Unmute(ctx, in.ID, in.Subject)
}

// knownCheck refuses an ID that no check has, so that a slip of the pen is not
// taken for good health. An ID that begins with a check's own names one of its
// findings.
func (o *Ops) knownCheck(ctx context.Context, id string) error {
	for _, c := range o.Doctor.Checks(ctx) {
		if id == c.ID || strings.HasPrefix(c.ID, id+".") || strings.HasPrefix(id, c.ID+".") {
			return nil
		}
	}
	return &Error{Kind: NotFound, Text: fmt.Sprintf("there is no check %q", id), Next: "`mailstead doctor --list` shows what there is"}
}
