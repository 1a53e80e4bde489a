package errs

import "fmt"

// Validation gathers the violations of one request, so that a caller learns of
// all of them at once. The zero value is ready to use.
type Validation struct {
	fields []Field
}

// Add records a violation of the field.
func (v *Validation) Add(field, format string, args ...any) {
	v.fields = append(v.fields, Field{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Check records a violation unless ok holds.
func (v *Validation) Check(ok bool, field, format string, args ...any) {
	if !ok {
		v.Add(field, format, args...)
	}
}

// Err returns a ValidationFailed with everything recorded, or nil.
func (v *Validation) Err() error {
	if len(v.fields) == 0 {
		return nil
	}
	detail := v.fields[0].Field + ": " + v.fields[0].Message
	if more := len(v.fields) - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	return &Error{Code: ValidationFailed, Detail: detail, Fields: v.fields}
}
