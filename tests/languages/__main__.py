"""Updates the catalogues from the code, compiles them, and prints what has no translation: `make messages`."""

import os

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    django.setup()
    from tests.languages import catalogues, extraction

    found = extraction.texts()
    for locale in catalogues.LOCALES:
        catalogue = catalogues.updated(locale, found)
        catalogues.path_of(locale).parent.mkdir(parents=True, exist_ok=True)
        catalogues.path_of(locale).write_bytes(catalogues.po_of(catalogue))
        catalogues.path_of(locale, ".mo").write_bytes(catalogues.mo_of(catalogue))
        missing = [message for message in catalogue if message.id and not all(catalogues.translations(message))]
        print(f"{locale}: {len(found)} messages, {len(missing)} without translation")
        for message in missing:
            print(f"  {message.id!r}")
