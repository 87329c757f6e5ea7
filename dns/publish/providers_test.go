package publish

import (
	"crypto/sha1"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCloudflare(t *testing.T) {
	t.Parallel()
	const page = "GET /zones/z1/dns_records?page="
	first := `{"success":true,"errors":[],"messages":[],"result_info":{"page":1,"per_page":100,"count":3,"total_count":5,"total_pages":2},"result":[
		{"id":"r1","type":"A","name":"www.example.org","content":"192.0.2.7","proxied":true,"ttl":1},
		{"id":"r2","type":"TXT","name":"example.org","content":"v=spf1 mx -all","ttl":3600},
		{"id":"r3","type":"MX","name":"example.org","content":"old.example.net","priority":5,"ttl":3600}]}`
	second := `{"success":true,"result_info":{"page":2,"total_pages":2},"result":[
		{"id":"r4","type":"SRV","name":"_imaps._tcp.example.org","content":"1 993 mail.example.org","priority":0,"data":{"port":993,"priority":0,"target":"mail.example.org","weight":1},"ttl":3600},
		{"id":"r5","type":"CAA","name":"mail.example.org","content":"0 issue \"letsencrypt.org\"","data":{"flags":0,"tag":"issue","value":"letsencrypt.org"},"ttl":3600},
		{"id":"r6","type":"TXT","name":"k._domainkey.example.org","content":"\"v=DKIM1; \" \"p=AA\"","ttl":3600}]}`
	read := []call{{ask: page + "1&per_page=100", answer: first}, {ask: page + "2&per_page=100", answer: second}}
	made := `{"success":true,"result":{"id":"n"}}`
	calls := []call{
		{ask: "GET /zones?name=team.example.org", answer: `{"success":true,"result":[]}`},
		{ask: "GET /zones?name=example.org", answer: `{"success":true,"result":[{"id":"z1","name":"example.org","status":"active"}]}`},
	}
	calls = append(calls, read...)
	calls = append(calls, read...)
	calls = append(calls,
		call{ask: "PUT /zones/z1/dns_records/r2", answer: made, body: `{"type":"TXT","name":"example.org","content":"\"v=spf1 a:mail.example.org mx -all\"","ttl":3600}`},
		call{ask: "DELETE /zones/z1/dns_records/r3", answer: `{"result":{"id":"r3"}}`},
		call{ask: "POST /zones/z1/dns_records", answer: made, body: `{"type":"A","name":"mail.example.org","content":"192.0.2.1","ttl":3600,"proxied":false}`},
		call{ask: "POST /zones/z1/dns_records", answer: made, body: `{"type":"SRV","name":"_pop3s._tcp.example.org","ttl":3600,"data":{"priority":0,"weight":0,"port":0,"target":"."}}`},
		call{ask: "POST /zones/z1/dns_records", answer: made, body: `{"type":"CAA","name":"example.org","ttl":3600,"data":{"flags":0,"tag":"issue","value":"letsencrypt.org; accounturi=https://a/1"}}`},
		call{ask: "POST /zones/z1/dns_records", answer: made, body: `{"type":"TLSA","name":"_25._tcp.mail.example.org","ttl":3600,"data":{"usage":3,"selector":1,"matching_type":1,"certificate":"aabb"}}`},
		call{ask: "POST /zones/z1/dns_records", answer: made, body: `{"type":"CNAME","name":"autoconfig.example.org","content":"mail.example.org","ttl":3600,"proxied":false}`},
	)
	p := connect(t, "cloudflare", map[string]string{"token": "tok"}, fake(t, map[string]string{"Authorization": "Bearer tok"}, calls...), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "www A 192.0.2.7", "@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "_imaps._tcp SRV 0 1 993 mail.example.org.",
		`mail CAA 0 issue "letsencrypt.org"`, "k._domainkey TXT v=DKIM1; p=AA")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "@ MX 9 never.example."),
		rrs("@ TXT v=spf1 a:mail.example.org mx -all", "mail A 192.0.2.1", "_imaps._tcp SRV 0 1 993 mail.example.org.", "_pop3s._tcp SRV 0 0 0 .",
			`@ CAA 0 issue "letsencrypt.org; accounturi=https://a/1"`, "_25._tcp.mail TLSA 3 1 1 aabb", "autoconfig CNAME mail.example.org."))
}

func TestHetzner(t *testing.T) {
	t.Parallel()
	first := `{"rrsets":[
		{"id":"@/TXT","name":"@","type":"TXT","ttl":300,"labels":{},"protection":{"change":false},"records":[{"value":"\"site=1\"","comment":"x"},{"value":"\"v=spf1 mx -all\""}],"zone":42},
		{"id":"@/MX","name":"@","type":"MX","ttl":null,"records":[{"value":"5 old"}],"zone":42}],
		"meta":{"pagination":{"page":1,"per_page":50,"previous_page":null,"next_page":2,"last_page":2,"total_entries":3}}}`
	second := `{"rrsets":[{"id":"www/A","name":"www","type":"A","ttl":60,"records":[{"value":"192.0.2.7"}],"zone":42}],"meta":{"pagination":{"next_page":null}}}`
	read := []call{{ask: "GET /zones/example.org/rrsets?page=1&per_page=50", answer: first}, {ask: "GET /zones/example.org/rrsets?page=2&per_page=50", answer: second}}
	running := `{"action":{"id":7,"command":"x","status":"running","progress":0,"error":null}}`
	success := `{"action":{"id":7,"command":"x","status":"success","progress":100,"error":null}}`
	calls := []call{
		{ask: "GET /zones/team.example.org", status: 404, answer: `{"error":{"code":"not_found","message":"zone not found"}}`},
		{ask: "GET /zones/example.org", answer: `{"zone":{"id":42,"name":"example.org","mode":"primary"}}`},
	}
	calls = append(append(calls, read...), read...)
	calls = append(calls,
		call{ask: "DELETE /zones/example.org/rrsets/@/MX", status: 201, answer: running},
		call{ask: "GET /actions/7", answer: running},
		call{ask: "GET /actions/7", answer: success},
		call{ask: "POST /zones/example.org/rrsets/@/TXT/actions/set_records", status: 201, answer: success,
			body: `{"records":[{"value":"\"site=1\""},{"value":"\"v=spf1 a:mail.example.org mx -all\""}]}`},
		call{ask: "POST /zones/example.org/rrsets", status: 201, answer: `{"rrset":{},"action":{"id":9,"status":"success"}}`,
			body: `{"name":"_25._tcp.mail","type":"TLSA","ttl":3600,"records":[{"value":"3 1 1 aabb"}]}`},
	)
	p := connect(t, "hetzner", map[string]string{"token": "tok"}, fake(t, map[string]string{"Authorization": "Bearer tok"}, calls...), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT site=1", "@ TXT v=spf1 mx -all", "@ MX 5 old.example.org.", "www A 192.0.2.7")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.org."),
		rrs("@ TXT v=spf1 a:mail.example.org mx -all", "www A 192.0.2.7", "_25._tcp.mail TLSA 3 1 1 aabb"))

	failed := connect(t, "hetzner", map[string]string{"token": "tok"}, fake(t, nil,
		call{ask: read[1].ask[:len("GET /zones/example.org/rrsets?page=")] + "1&per_page=50", answer: second},
		call{ask: "POST /zones/example.org/rrsets", status: 201, answer: `{"action":{"id":9,"status":"error","error":{"code":"action_failed","message":"Action failed"}}}`,
			body: `{"name":"@","type":"TXT","ttl":3600,"records":[{"value":"\"x\""}]}`}), nil)
	if _, err := failed.AppendRecords(t.Context(), "example.org", rrs("@ TXT x")); err == nil || !strings.Contains(err.Error(), "Action failed") {
		t.Errorf("an action that failed: %v", err)
	}
}

func TestDesec(t *testing.T) {
	t.Parallel()
	next := map[string]string{"Link": `<https://desec.io/api/v1/domains/example.org/rrsets/?cursor=>; rel="first", <https://desec.io/api/v1/domains/example.org/rrsets/?cursor=abc%3D>; rel="next"`}
	read := []call{
		{ask: "GET /domains/example.org/rrsets/?cursor=", head: next, answer: `[{"created":"2026-01-01T00:00:00Z","domain":"example.org","subname":"","name":"example.org.","type":"TXT","records":["\"site=1\"","\"v=spf1 mx -all\""],"ttl":3600,"touched":"x"}]`},
		{ask: "GET /domains/example.org/rrsets/?cursor=abc%3D", answer: `[{"subname":"","type":"MX","records":["5 old.example.net."],"ttl":3600}]`},
	}
	calls := []call{{ask: "GET /domains/?owns_qname=team.example.org", answer: `[{"created":"x","name":"example.org","minimum_ttl":3600}]`}}
	calls = append(append(calls, read...), read...)
	calls = append(calls,
		call{ask: "GET /domains/example.org/", answer: `{"name":"example.org","minimum_ttl":3600}`},
		call{ask: "PATCH /domains/example.org/rrsets/", answer: `[]`, body: `[
			{"subname":"","type":"MX","ttl":3600,"records":[]},
			{"subname":"","type":"TXT","ttl":3600,"records":["\"site=1\"","\"v=spf1 a:mail.example.org mx -all\""]},
			{"subname":"_25._tcp.mail","type":"TLSA","ttl":3600,"records":["3 1 1 aabb"]}]`},
	)
	p := connect(t, "desec", map[string]string{"token": "tok"}, fake(t, map[string]string{"Authorization": "Token tok"}, calls...), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT site=1", "@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.net."), rrs("@ TXT v=spf1 a:mail.example.org mx -all", "_25._tcp.mail TLSA 3 1 1 aabb"))

	bad := connect(t, "desec", map[string]string{"token": "tok"}, fake(t, nil,
		call{ask: read[0].ask, answer: `[]`}, call{ask: "GET /domains/example.org/", answer: `{"minimum_ttl":3600}`},
		call{ask: "PATCH /domains/example.org/rrsets/", status: 400, answer: `[{"non_field_errors":["RRset with conflicting type present: database (CNAME)"]}]`,
			body: `[{"subname":"www","type":"A","ttl":3600,"records":["192.0.2.1"]}]`}), nil)
	if _, err := bad.AppendRecords(t.Context(), "example.org", rrs("www A 192.0.2.1")); err == nil || !strings.Contains(err.Error(), "conflicting type") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestDigitalOcean(t *testing.T) {
	t.Parallel()
	read := []call{
		{ask: "GET /domains/example.org/records?page=1&per_page=200", answer: `{"domain_records":[
			{"id":1,"type":"TXT","name":"@","data":"v=spf1 mx -all","priority":null,"port":null,"ttl":1800,"weight":null,"flags":null,"tag":null},
			{"id":2,"type":"MX","name":"@","data":"old.example.net","priority":5,"ttl":1800}],
			"links":{"pages":{"next":"https://api.digitalocean.com/v2/domains/example.org/records?page=2","last":"x"}},"meta":{"total":4}}`},
		{ask: "GET /domains/example.org/records?page=2&per_page=200", answer: `{"domain_records":[
			{"id":3,"type":"SRV","name":"_imaps._tcp","data":"@","priority":0,"port":993,"weight":1,"ttl":1800},
			{"id":4,"type":"CAA","name":"@","data":"letsencrypt.org","flags":0,"tag":"issue","ttl":1800}],"links":{"pages":{"first":"x","prev":"x"}},"meta":{"total":4}}`},
	}
	calls := []call{
		{ask: "GET /domains/team.example.org", status: 404, answer: `{"id":"not_found","message":"x"}`},
		{ask: "GET /domains/example.org", answer: `{"domain":{"name":"example.org","ttl":1800}}`},
	}
	calls = append(append(calls, read...), read...)
	calls = append(calls,
		call{ask: "PUT /domains/example.org/records/1", answer: `{"domain_record":{}}`, body: `{"type":"TXT","name":"@","data":"v=spf1 a:mail.example.org mx -all","ttl":3600}`},
		call{ask: "PUT /domains/example.org/records/2", answer: `{"domain_record":{}}`, body: `{"type":"MX","name":"@","data":"mail.example.org.","priority":10,"ttl":3600}`},
		call{ask: "DELETE /domains/example.org/records/3", status: 204},
		call{ask: "POST /domains/example.org/records", status: 201, answer: `{"domain_record":{"id":9}}`, body: `{"type":"SRV","name":"_sieve._tcp","data":"mail.example.org.","priority":0,"weight":1,"port":4190,"ttl":3600}`},
	)
	p := connect(t, "digitalocean", map[string]string{"token": "tok"}, fake(t, map[string]string{"Authorization": "Bearer tok"}, calls...), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "_imaps._tcp SRV 0 1 993 example.org.", `@ CAA 0 issue "letsencrypt.org"`)
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "_imaps._tcp SRV 0 1 993 example.org."),
		rrs("@ TXT v=spf1 a:mail.example.org mx -all", "@ MX 10 mail.example.org.", "_sieve._tcp SRV 0 1 4190 mail.example.org."))
}

func TestPorkbun(t *testing.T) {
	t.Parallel()
	ok := `{"status":"SUCCESS"}`
	read := call{ask: "POST /dns/retrieve/example.org", body: `{}`, answer: `{"status":"SUCCESS","cloudflare":"enabled","records":[
		{"id":"101","name":"example.org","type":"TXT","content":"v=spf1 mx -all","ttl":"600","prio":null,"notes":""},
		{"id":"102","name":"example.org","type":"MX","content":"old.example.net","ttl":"600","prio":"5","notes":""},
		{"id":"103","name":"_imaps._tcp.example.org","type":"SRV","content":"1 993 mail.example.org","ttl":"600","prio":"0","notes":""}]}`}
	p := connect(t, "porkbun", map[string]string{"apikey": "pk1_a", "secretapikey": "sk1_b"}, fake(t, map[string]string{"X-API-Key": "pk1_a", "X-Secret-API-Key": "sk1_b"},
		call{ask: "POST /domain/listAll", body: `{"start":"0"}`, answer: `{"status":"SUCCESS","domains":[{"domain":"other.net"},{"domain":"example.org","status":"ACTIVE"}]}`},
		read, read,
		call{ask: "POST /dns/edit/example.org/101", answer: ok, body: `{"name":"","type":"TXT","content":"v=spf1 a:mail.example.org mx -all","ttl":"3600"}`},
		call{ask: "POST /dns/delete/example.org/102", body: `{}`, answer: ok},
		call{ask: "POST /dns/create/example.org", answer: ok, body: `{"name":"_pop3s._tcp","type":"SRV","content":"0 0 .","ttl":"3600","prio":"0"}`},
		call{ask: "POST /dns/create/example.org", answer: ok, body: `{"name":"autoconfig","type":"CNAME","content":"mail.example.org","ttl":"3600"}`},
		call{ask: "POST /dns/create/example.org", answer: ok, body: `{"name":"_25._tcp.mail","type":"TLSA","content":"3 1 1 aabb","ttl":"3600"}`},
	), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "_imaps._tcp SRV 0 1 993 mail.example.org.")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.net."),
		rrs("@ TXT v=spf1 a:mail.example.org mx -all", "_pop3s._tcp SRV 0 0 0 .", "autoconfig CNAME mail.example.org.", "_25._tcp.mail TLSA 3 1 1 aabb"))
}

func TestGandi(t *testing.T) {
	t.Parallel()
	read := call{ask: "GET /domains/example.org/records?page=1&per_page=100", head: map[string]string{"Total-Count": "2"}, answer: `[
		{"rrset_name":"@","rrset_type":"TXT","rrset_ttl":10800,"rrset_values":["\"site=1\"","\"v=spf1 mx -all\""],"rrset_href":"x"},
		{"rrset_name":"@","rrset_type":"MX","rrset_ttl":10800,"rrset_values":["10 spool.mail.gandi.net.","5 old"],"rrset_href":"x"}]`}
	p := connect(t, "gandi", map[string]string{"token": "pat"}, fake(t, map[string]string{"Authorization": "Bearer pat"},
		call{ask: "GET /domains/team.example.org", status: 404, answer: `{"code":404,"message":"x"}`},
		call{ask: "GET /domains/example.org", answer: `{"fqdn":"example.org"}`},
		read, read,
		call{ask: "DELETE /domains/example.org/records/@/MX", status: 204},
		call{ask: "PUT /domains/example.org/records/@/TXT", status: 201, answer: `{"message":"DNS Record Created"}`,
			body: `{"rrset_ttl":10800,"rrset_values":["\"site=1\"","\"v=spf1 a:mail.example.org mx -all\""]}`},
		call{ask: "PUT /domains/example.org/records/_dmarc/TXT", status: 201, answer: `{}`, body: `{"rrset_ttl":3600,"rrset_values":["\"v=DMARC1; p=none\""]}`},
	), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT site=1", "@ TXT v=spf1 mx -all", "@ MX 10 spool.mail.gandi.net.", "@ MX 5 old.example.org.")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 10 spool.mail.gandi.net.", "@ MX 5 old.example.org."),
		rrs("@ TXT v=spf1 a:mail.example.org mx -all", "_dmarc TXT v=DMARC1; p=none"))
}

// Pages of Gandi's end where the total says.
func TestGandiPages(t *testing.T) {
	t.Parallel()
	full := "[" + strings.TrimSuffix(strings.Repeat(`{"rrset_name":"a","rrset_type":"A","rrset_ttl":300,"rrset_values":["192.0.2.1"]},`, 100), ",") + "]"
	total := map[string]string{"Total-Count": "101"}
	p := connect(t, "gandi", map[string]string{"token": "pat"}, fake(t, nil,
		call{ask: "GET /domains/example.org/records?page=1&per_page=100", head: total, answer: full},
		call{ask: "GET /domains/example.org/records?page=2&per_page=100", head: total, answer: `[{"rrset_name":"b","rrset_type":"A","rrset_ttl":300,"rrset_values":["192.0.2.2"]}]`}), nil)
	if all, err := p.GetRecords(t.Context(), "example.org"); err != nil || len(all) != 101 {
		t.Errorf("%d records, %v", len(all), err)
	}
}

func TestOVH(t *testing.T) {
	t.Parallel()
	calls := []call{
		{ask: "GET /auth/time", answer: `1700000000`},
		{ask: "GET /domain/zone", answer: `["other.net","example.org"]`},
		{ask: "GET /domain/zone/example.org/record", answer: `[1,2,3]`},
		{ask: "GET /domain/zone/example.org/record/1", answer: `{"id":1,"zone":"example.org","subDomain":"","fieldType":"SPF","target":"\"v=spf1 mx -all\"","ttl":0}`},
		{ask: "GET /domain/zone/example.org/record/2", answer: `{"id":2,"zone":"example.org","subDomain":"","fieldType":"MX","target":"5 old","ttl":3600}`},
		{ask: "GET /domain/zone/example.org/record/3", status: 404, answer: `{"class":"Client::NotFound","message":"The requested object (id = 3) does not exist"}`},
		{ask: "GET /domain/zone/example.org/record?subDomain=", answer: `[1,2]`},
		{ask: "GET /domain/zone/example.org/record?subDomain=_dmarc", answer: `[]`},
		{ask: "GET /domain/zone/example.org/record/1", answer: `{"id":1,"subDomain":"","fieldType":"TXT","target":"\"v=spf1 mx -all\"","ttl":0}`},
		{ask: "GET /domain/zone/example.org/record/2", answer: `{"id":2,"subDomain":"","fieldType":"MX","target":"5 old.example.org.","ttl":3600}`},
		{ask: "PUT /domain/zone/example.org/record/1", answer: `null`, body: `{"subDomain":"","target":"\"v=spf1 a:mail.example.org mx -all\"","ttl":3600}`},
		{ask: "DELETE /domain/zone/example.org/record/2", answer: `null`},
		{ask: "POST /domain/zone/example.org/record", answer: `{"id":9}`, body: `{"subDomain":"_dmarc","fieldType":"TXT","target":"\"v=DMARC1; p=none\"","ttl":3600}`},
		{ask: "POST /domain/zone/example.org/refresh", answer: `null`},
	}
	// A second server in front looks at the signatures, which the clock is part of.
	inner := fake(t, map[string]string{"X-Ovh-Application": "app"}, calls...)
	var base string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/auth/time" {
			stamp := r.Header.Get("X-Ovh-Timestamp")
			sum := sha1.Sum([]byte("sec+con+" + r.Method + "+" + base + r.URL.RequestURI() + "+" + string(body) + "+" + stamp))
			if want := "$1$" + hex.EncodeToString(sum[:]); r.Header.Get("X-Ovh-Signature") != want || r.Header.Get("X-Ovh-Consumer") != "con" {
				t.Errorf("%s %s: signature %q, wanted %q", r.Method, r.URL, r.Header.Get("X-Ovh-Signature"), want)
			}
			if stamp < "1699999990" || stamp > "1700000100" {
				t.Errorf("the clock is not theirs: %s", stamp)
			}
		}
		req, _ := http.NewRequestWithContext(r.Context(), r.Method, inner+r.URL.RequestURI(), strings.NewReader(string(body)))
		req.Header = r.Header
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(s.Close)
	base = s.URL
	p := connect(t, "ovh", map[string]string{"application_key": "app", "application_secret": "sec", "consumer_key": "con"}, base, nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT v=spf1 mx -all", "@ MX 5 old.example.org.")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.org."), rrs("@ TXT v=spf1 a:mail.example.org mx -all", "_dmarc TXT v=DMARC1; p=none"))
}

// The example of OVHcloud's guide to its API.
func TestOVHSignature(t *testing.T) {
	t.Parallel()
	got := ovhSignature("EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF", "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1", "GET", "https://eu.api.ovh.com/1.0/domains/", "", "1366560945")
	if got != "$1$d3705e8afb27a0d2970a322b96550abfc67bb798" {
		t.Error(got)
	}
}

func TestPowerDNS(t *testing.T) {
	t.Parallel()
	read := call{ask: "GET /servers/localhost/zones/example.org.", answer: `{"id":"example.org.","name":"example.org.","kind":"Native","rrsets":[
		{"name":"example.org.","type":"TXT","ttl":300,"comments":[],"records":[{"content":"\"site=1\"","disabled":false},{"content":"\"v=spf1 mx -all\"","disabled":false}]},
		{"name":"example.org.","type":"MX","ttl":300,"records":[{"content":"5 old.example.net.","disabled":false}]},
		{"name":"part.example.org.","type":"A","ttl":300,"records":[{"content":"192.0.2.1","disabled":false},{"content":"192.0.2.2","disabled":true}]}]}`}
	p := connect(t, "powerdns", map[string]string{"url": "http://127.0.0.1:1", "key": "key"}, fake(t, map[string]string{"X-API-Key": "key"},
		call{ask: "GET /servers/localhost/zones?zone=team.example.org.", answer: `[]`},
		call{ask: "GET /servers/localhost/zones?zone=example.org.", answer: `[{"id":"example.org.","name":"example.org."}]`},
		read, read,
		call{ask: "PATCH /servers/localhost/zones/example.org.", status: 204, body: `{"rrsets":[
			{"name":"example.org.","type":"MX","changetype":"DELETE","records":[]},
			{"name":"example.org.","type":"TXT","ttl":300,"changetype":"REPLACE","records":[{"content":"\"site=1\"","disabled":false},{"content":"\"v=spf1 a:mail.example.org mx -all\"","disabled":false}]},
			{"name":"_25._tcp.mail.example.org.","type":"TLSA","ttl":3600,"changetype":"REPLACE","records":[{"content":"3 1 1 aabb","disabled":false}]}]}`},
		read, // a set that is partly disabled is not written
	), nil)
	finds(t, p, "team.example.org", "example.org")
	holds(t, p, "@ TXT site=1", "@ TXT v=spf1 mx -all", "@ MX 5 old.example.net.", "part A 192.0.2.1")
	replaces(t, p, rrs("@ TXT v=spf1 mx -all", "@ MX 5 old.example.net."), rrs("@ TXT v=spf1 a:mail.example.org mx -all", "_25._tcp.mail TLSA 3 1 1 aabb"))
	if _, err := p.AppendRecords(t.Context(), "example.org", rrs("part A 192.0.2.3")); err == nil || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("a set with disabled records: %v", err)
	}
}
