// Strict and typed: what a browser runs on other people's pages is small, and held to it.
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "build/", "node_modules/"] },
  {
    files: ["src/**/*.ts", "tests/**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-script-url": "error",
      "no-console": "error",
      // What makes code, or markup, of text; and what would keep something in the browser beyond its session.
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({ property })),
        { object: "document", property: "write" },
        { object: "document", property: "cookie" },
      ],
      "no-restricted-globals": ["error", "localStorage", "indexedDB", "XMLHttpRequest", "WebSocket", "EventSource"],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    files: ["tests/**/*.ts"],
    // `test` of Node gives a promise that the runner awaits.
    // They name what they look for.
    rules: { "@typescript-eslint/no-floating-promises": "off", "no-script-url": "off" },
  },
);
