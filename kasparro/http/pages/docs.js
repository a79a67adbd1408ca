// The reader of /openapi.json: Swagger UI, with the key that the dashboard was given in this tab, where there is one.
import { storedKey } from "./key.js";

// Swagger UI has both looks, and chooses neither by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

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
