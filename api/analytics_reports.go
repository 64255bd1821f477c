package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
)

func (h analyticsHandlers) reportRoutes() []Route {
	return []Route{
		Handle("POST", "/v1/analytics/reports", auth.AnalyticsManage, Meta{
			ID: "createReport", Tag: tagAnalytics, Summary: "Save a question", Status: 201, Creates: true,
			Description: "The question is checked as if it were asked. Without `from` its span moves with the time.",
		}, h.createReport),
		Handle("GET", "/v1/analytics/reports", auth.AnalyticsRead, Meta{ID: "listReports", Tag: tagAnalytics, Summary: "List saved questions, newest first"}, h.listReports),
		Handle("GET", "/v1/analytics/reports/{report_id}", auth.AnalyticsRead, Meta{ID: "getReport", Tag: tagAnalytics, Summary: "Get a saved question"}, h.getReport),
		Handle("PATCH", "/v1/analytics/reports/{report_id}", auth.AnalyticsManage, Meta{
			ID: "updateReport", Tag: tagAnalytics, Summary: "Change a saved question", Description: "`query` replaces the whole question; what it is about stays.",
		}, h.updateReport),
		Handle("DELETE", "/v1/analytics/reports/{report_id}", auth.AnalyticsManage, Meta{ID: "deleteReport", Tag: tagAnalytics, Summary: "Forget a saved question"}, h.deleteReport),
		Handle("GET", "/v1/analytics/reports/{report_id}/result", auth.AnalyticsRead, Meta{
			ID: "runReport", Tag: tagAnalytics, Summary: "Ask a saved question", Produces: mediaCSV,
			Description: "One of `usage`, `runs` and `latency` holds the answer, as its own route would give it; the others are null. `format=csv` gives its rows.",
		}, h.runReport),
	}
}

func (h analyticsHandlers) createReport(ctx context.Context, in *analytics.NewReport) (analytics.Report, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	return h.service.CreateReport(ctx, *in)
}

func (h analyticsHandlers) listReports(ctx context.Context, in *page.Request) (page.Page[analytics.Report], error) {
	return h.service.FindReports(ctx, *in)
}

type reportPath struct {
	ReportID uuid.UUID `path:"report_id" description:"The saved question."`
}

func (h analyticsHandlers) getReport(ctx context.Context, in *reportPath) (analytics.Report, error) {
	return h.service.FindReport(ctx, in.ReportID)
}

type updateReport struct {
	reportPath
	analytics.ReportUpdate
}

func (h analyticsHandlers) updateReport(ctx context.Context, in *updateReport) (analytics.Report, error) {
	return h.service.UpdateReport(ctx, in.ReportID, in.ReportUpdate)
}

func (h analyticsHandlers) deleteReport(ctx context.Context, in *reportPath) (None, error) {
	return None{}, h.service.DeleteReport(ctx, in.ReportID)
}

type runReport struct {
	reportPath
	analyticsFormat
}

func (h analyticsHandlers) runReport(ctx context.Context, in *runReport) (reportAnswer, error) {
	r, err := h.service.RunReport(ctx, in.ReportID)
	if err != nil {
		return reportAnswer{}, err
	}
	a := reportAnswer{Result: r}
	return a, a.as(in.Format, string(r.Report.Kind), func() table { return resultTable(r) })
}
