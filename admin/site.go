package admin

import (
	"embed"

	"mailstead/internal/control"
	"mailstead/internal/webui"
)

// Home is where an operator arrives.
const Home = statusPath

//go:embed pages/*.html
var files embed.FS

// Pages are what operators may look at.
func Pages(caller control.Caller, lookout *Lookout) []webui.Page {
	status := &statusRoom{only{caller, statusOperations}, lookout, lookout.log}
	return []webui.Page{
		{Path: statusPath, Title: "Status", Menu: "Status", Files: files, Template: "pages/status.html", Data: status.data},
	}
}

// Actions are what their forms do.
func Actions(lookout *Lookout) []webui.Action {
	return []webui.Action{
		{Path: statusPath + "/look", Do: lookout.begin},
	}
}
