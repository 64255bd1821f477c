package postgres

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/larirun/lari/internal/platform/clock"
)

// prepareTypes lets times come back as they were written, whatever the zone of this machine, and ids and times
// travel in binary: as database/sql types, which is all that the driver knows of them, each would be a text on
// its way, made and parsed again on both sides.
func prepareTypes(conn *pgx.Conn) {
	m := conn.TypeMap()
	m.RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	m.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapScan}, m.TryWrapScanPlanFuncs...)
	m.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapEncode}, m.TryWrapEncodePlanFuncs...)
}

func wrapScan(target any) (plan pgtype.WrappedScanPlanNextSetter, next any, ok bool) {
	switch t := target.(type) {
	case *uuid.UUID:
		return &scanUUID{}, (*uuidTarget)(t), true
	case *clock.Time:
		return &scanTime{}, &t.Time, true
	}
	return nil, nil, false
}

func wrapEncode(value any) (plan pgtype.WrappedEncodePlanNextSetter, next any, ok bool) {
	switch v := value.(type) {
	case uuid.UUID:
		return &encodeUUID{}, uuidValue(v), true
	case clock.Time:
		return &encodeTime{}, v.Time, true
	}
	return nil, nil, false
}

type uuidTarget uuid.UUID

// ScanUUID is part of pgtype.UUIDScanner.
func (u *uuidTarget) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return fmt.Errorf("null is no id")
	}
	*u = v.Bytes
	return nil
}

type uuidValue uuid.UUID

// UUIDValue is part of pgtype.UUIDValuer.
func (u uuidValue) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: u, Valid: true}, nil }

type scanUUID struct{ next pgtype.ScanPlan }

// SetNext is part of pgtype.WrappedScanPlanNextSetter.
func (p *scanUUID) SetNext(next pgtype.ScanPlan) { p.next = next }

// Scan is part of pgtype.ScanPlan.
func (p *scanUUID) Scan(src []byte, target any) error {
	t, ok := target.(*uuid.UUID)
	if !ok {
		return fmt.Errorf("%T is no id", target)
	}
	return p.next.Scan(src, (*uuidTarget)(t))
}

type scanTime struct{ next pgtype.ScanPlan }

// SetNext is part of pgtype.WrappedScanPlanNextSetter.
func (p *scanTime) SetNext(next pgtype.ScanPlan) { p.next = next }

// Scan is part of pgtype.ScanPlan.
func (p *scanTime) Scan(src []byte, target any) error {
	t, ok := target.(*clock.Time)
	if !ok {
		return fmt.Errorf("%T is no time", target)
	}
	if err := p.next.Scan(src, &t.Time); err != nil {
		return err
	}
	*t = clock.At(t.Time)
	return nil
}

type encodeUUID struct{ next pgtype.EncodePlan }

// SetNext is part of pgtype.WrappedEncodePlanNextSetter.
func (p *encodeUUID) SetNext(next pgtype.EncodePlan) { p.next = next }

// Encode is part of pgtype.EncodePlan.
func (p *encodeUUID) Encode(value any, buf []byte) ([]byte, error) {
	v, ok := value.(uuid.UUID)
	if !ok {
		return nil, fmt.Errorf("%T is no id", value)
	}
	return p.next.Encode(uuidValue(v), buf)
}

type encodeTime struct{ next pgtype.EncodePlan }

// SetNext is part of pgtype.WrappedEncodePlanNextSetter.
func (p *encodeTime) SetNext(next pgtype.EncodePlan) { p.next = next }

// Encode is part of pgtype.EncodePlan.
func (p *encodeTime) Encode(value any, buf []byte) ([]byte, error) {
	v, ok := value.(clock.Time)
	if !ok {
		return nil, fmt.Errorf("%T is no time", value)
	}
	return p.next.Encode(v.Time, buf)
}
