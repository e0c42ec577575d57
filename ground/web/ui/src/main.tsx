import { render } from "preact";
import { useRef } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/plots.css";
import "./style/state.css";
import "./style/account.css";
import "./style/narrow.css";
import { App, type Tab } from "./app.ts";
import { useChannel } from "./channel.ts";
import { Dialogs } from "./dialogs.tsx";
import { onTick } from "./frames.ts";
import { exposeDebug } from "./debug.ts";
import { listenKeys } from "./keys.ts";
import { Commands } from "./panels/commands.tsx";
import { EventsPanel } from "./panels/events.tsx";
import { Components, Tasks } from "./panels/health.tsx";
import { LedgerPanel } from "./panels/ledger.tsx";
import { Machines } from "./panels/machines.tsx";
import { SeriesPanel } from "./panels/series.tsx";
import { Plots } from "./plots.tsx";
import { access } from "./session.ts";
import { SignIn } from "./signin.tsx";
import { TimeBar } from "./timebar.tsx";
import { Banners, TopBar } from "./topbar.tsx";

const tabs: readonly (readonly [Tab, string])[] = [
  ["plots", "Plots"],
  ["series", "Series"],
  ["health", "Health"],
  ["ledger", "Ledger"],
  ["events", "Events"],
];

function Page({ app }: { app: App }) {
  useChannel(app.ui);
  return (
    <div class="page" data-tab={app.tab}>
      <a class="skip" href="#plots">
        To the plots
      </a>
      <TopBar app={app} />
      <TimeBar app={app} />
      <Banners app={app} />
      <div class="columns">
        <nav class="left" aria-label="Machines and series">
          <Machines app={app} />
          <SeriesPanel app={app} />
        </nav>
        <Plots app={app} />
        <aside class="right" aria-label="State of the machine">
          <LedgerPanel app={app} />
          <Commands app={app} />
          <Components app={app} />
          <EventsPanel app={app} />
          <Tasks app={app} />
        </aside>
      </div>
      <nav class="tabs" aria-label="Parts of the page">
        {tabs.map(([tab, name]) => (
          <button key={tab} aria-current={app.tab === tab ? "page" : undefined} onClick={() => app.set({ tab })}>
            {name}
          </button>
        ))}
      </nav>
      <Dialogs app={app} />
    </div>
  );
}

/** The page, once somebody has signed in; it stays below the sign-in when a session has ended. */
function Root({ app }: { app: App }) {
  useChannel(access.changed);
  const begun = useRef(false);
  if (access.session && !begun.current) {
    begun.current = true;
    app.start();
  }
  return (
    <>
      {begun.current && (
        <div class="below" inert={!access.session}>
          <Page app={app} />
        </div>
      )}
      <SignIn />
    </>
  );
}

const app = new App();
listenKeys(app);
exposeDebug(app);
onTick(() => app.tick.emit());
access.changed.listen(() => {
  if (access.session) app.live.retryNow();
});
render(<Root app={app} />, document.getElementById("app")!);
void access.begin();
