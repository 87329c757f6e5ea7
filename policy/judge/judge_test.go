package judge

import (
	"testing"

	"mailstead/message"
	"mailstead/policy"
)

func TestJudgeAnswersForEveryRecipient(t *testing.T) {
	e := policy.Evidence{Envelope: message.Envelope{Recipients: make([]message.Recipient, 3)}}
	verdicts := new(Judge).Judge(t.Context(), e)
	if len(verdicts) != 3 {
		t.Fatalf("%d verdicts", len(verdicts))
	}
	for _, v := range verdicts {
		if v.Disposition != policy.Deliver || len(v.Reasons) == 0 || v.Reasons[0].Name == "" {
			t.Errorf("%+v", v)
		}
	}
}
