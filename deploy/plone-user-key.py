"""Prints a key with which EduHub serves users of single sign-on as their own users in Plone: docs/SSO.md.

    bin/zconsole run etc/zope.conf plone-user-key.py [SITE]

SITE is the path of the site, Plone by default. Plone must be stopped if its database is a plain file. The script adds a
second plugin for JSON Web Tokens (of plone.restapi, a part of Plone) to the site's user folder, with a separate key.
Each run replaces the key, so the earlier one is no longer accepted. To remove the plugin, delete eduhub_users in
acl_users.
"""

import sys

import transaction
from plone.restapi.pas.plugin import JWTAuthenticationPlugin
from Products.PluggableAuthService.interfaces.plugins import IAuthenticationPlugin, IExtractionPlugin

PLUGIN = "eduhub_users"


def main(app):
    arguments = sys.argv[sys.argv.index("run") + 3:]
    site = app.unrestrictedTraverse(arguments[0] if arguments else "Plone")
    users = site.acl_users
    if PLUGIN in users.objectIds():
        users._delObject(PLUGIN)
    plugin = JWTAuthenticationPlugin(PLUGIN, "EduHub: users of single sign-on")
    # Otherwise the plugin would use Plone's own key, which signs all sign-ins to Plone.
    plugin.use_keyring = False
    users._setObject(PLUGIN, plugin)
    # In both roles, the plugin comes after those of Plone's own sign-in, which remain unchanged.
    for interface in (IExtractionPlugin, IAuthenticationPlugin):
        users.plugins.activatePlugin(interface, PLUGIN)
    key = users[PLUGIN]._signing_secret()
    transaction.commit()
    print("EDUHUB_PLONE__USER_KEY=" + key)


main(app)  # noqa: F821: zconsole defines `app`
