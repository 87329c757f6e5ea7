package message

import "strconv"

// AppendBodyStructure appends IMAP's BODYSTRUCTURE (extended) or BODY.
//
// A text part without a charset gets ("charset" "us-ascii"), RFC 2046's
// default, as clients are used to. A message part that was not looked into
// (encoded, or too deep) has an empty envelope and an empty text as its body.
func AppendBodyStructure(dst []byte, p *Part, extended bool) []byte {
	dst = append(dst, '(')
	if p.Multipart() {
		if len(p.Parts) == 0 { // not from Scan
			dst = append(dst, emptyBody...)
		}
		for _, c := range p.Parts {
			dst = AppendBodyStructure(dst, c, extended)
		}
		dst = appendString(append(dst, ' '), p.Subtype)
		if extended {
			dst = appendParams(append(dst, ' '), p.Params, "")
			dst = appendExtension(dst, p)
		}
		return append(dst, ')')
	}
	dst = appendBasic(dst, p)
	switch {
	case p.IsMessage():
		inner := p.Message
		if inner == nil {
			inner = &Part{}
		}
		dst = AppendEnvelope(append(dst, ' '), inner.Envelope)
		dst = append(dst, ' ')
		if p.Message != nil {
			dst = AppendBodyStructure(dst, inner, extended)
		} else {
			dst = append(dst, emptyBody...)
		}
		fallthrough
	case p.Type == "text":
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	}
	if extended {
		dst = appendNonEmpty(append(dst, ' '), p.MD5)
		dst = appendExtension(dst, p)
	}
	return append(dst, ')')
}

const emptyBody = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)`

// appendBasic appends what every leaf has: media type, parameters, id,
// description, encoding, size.
func appendBasic(dst []byte, p *Part) []byte {
	typ, subtype, charset := p.Type, p.Subtype, ""
	if typ == "" {
		typ, subtype = "text", "plain"
	}
	if typ == "text" {
		charset = "us-ascii"
	}
	encoding := p.Encoding
	if encoding == "" {
		encoding = "7bit"
	}
	dst = append(appendString(dst, typ), ' ')
	dst = append(appendString(dst, subtype), ' ')
	dst = append(appendParams(dst, p.Params, charset), ' ')
	dst = append(appendNonEmpty(dst, p.ID), ' ')
	dst = append(appendNonEmpty(dst, p.Description), ' ')
	dst = append(appendString(dst, encoding), ' ')
	return strconv.AppendInt(dst, p.Body.Len(), 10)
}

// appendParams appends body-fld-param; charset is added when it is not empty
// and the list has none.
func appendParams(dst []byte, list []Param, charset string) []byte {
	if len(list) == 0 && charset == "" {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i, p := range list {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(appendString(dst, p.Name), ' ')
		dst = appendString(dst, p.Value)
		if p.Name == "charset" || p.Name == "charset*" {
			charset = ""
		}
	}
	if charset != "" {
		if len(list) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, `"charset" "`...)
		dst = append(append(dst, charset...), '"')
	}
	return append(dst, ')')
}

// appendExtension appends disposition, language and location.
func appendExtension(dst []byte, p *Part) []byte {
	if p.Disposition == "" {
		dst = append(dst, " NIL "...)
	} else {
		dst = appendString(append(dst, " ("...), p.Disposition)
		dst = appendParams(append(dst, ' '), p.DispositionParams, "")
		dst = append(dst, ") "...)
	}
	switch len(p.Language) {
	case 0:
		dst = append(dst, "NIL"...)
	default:
		dst = append(dst, '(')
		for i, tag := range p.Language {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = appendString(dst, tag)
		}
		dst = append(dst, ')')
	}
	return appendNonEmpty(append(dst, ' '), p.Location)
}
