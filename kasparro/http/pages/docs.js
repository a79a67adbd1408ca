// The reader of /openapi.json: Swagger UI, with the key that the dashboard was given in this tab, where there is one.
import { storedKey } from "./key.js";

// Swagger UI has both looks, and chooses neither by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// What Swagger UI leaves out for who cannot see it, or has no mouse. Its parts come and go, so this is done to each that comes.
const MENDS = {
  // Its title is of the first level, and nothing of the second.
  ":is(h3, h4, h5):not([aria-level])": (heading) => heading.setAttribute("aria-level", Number(heading.localName[1]) - 1),
  // A link in a button: the button alone does the same.
  ".opblock-summary-control a": (link) => link.removeAttribute("href"),
  ".information-container": (about) => Object.entries({ role: "region", "aria-label": "About" }).forEach((each) => about.setAttribute(...each)),
  "pre.microlight": (box) => box.setAttribute("tabindex", "0"),
  "tr[data-param-name] :is(select, input, textarea):not([aria-label])": (control) =>
    control.setAttribute("aria-label", control.closest("tr").dataset.paramName),
  "select:not([aria-label])": (control) => control.setAttribute("aria-label", "choice"),
};

function mend() {
  for (const [selector, mendOne] of Object.entries(MENDS)) {
    document.querySelectorAll(`#reader ${selector}`).forEach(mendOne);
  }
}

new MutationObserver(mend).observe(document.getElementById("reader"), { childList: true, subtree: true });

const reader = window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reader",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // Would send the document to a service outside.
  validatorUrl: null,
  onComplete() {
    const key = storedKey();
    if (key) {
      reader.preauthorizeApiKey("ApiKey", key);
    }
  },
});
