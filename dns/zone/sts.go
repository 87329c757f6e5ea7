package zone

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

func (m MTASTS) published() bool { return m.Mode == "testing" || m.Mode == "enforce" }

// MTASTSPolicy is the file that mta-sts.DOMAIN serves (RFC 8461, 3.2).
func (s Settings) MTASTSPolicy() string {
	mode, age := s.MTASTS.Mode, 7*24*time.Hour
	if !s.MTASTS.published() {
		mode = "none"
	}
	if mode != "enforce" {
		age = 24 * time.Hour
	}
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", mode, s.Host, int(age.Seconds()))
}

// policyID is a new one whenever the policy's text is (RFC 8461, 3.1: at most 32
// letters and digits).
func (s Settings) policyID() string {
	if s.MTASTS.ID != "" {
		return s.MTASTS.ID
	}
	sum := sha256.Sum256([]byte(s.MTASTSPolicy()))
	return hex.EncodeToString(sum[:10])
}
