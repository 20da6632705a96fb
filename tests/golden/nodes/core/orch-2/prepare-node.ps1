#Requires -Version 5.1
# Preparation of the node orch-2 of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest b19b18d070c3158f.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Prepares this machine as the node orch-2 of the farm orchestrator-prod: keys, stores, app pool.

.DESCRIPTION
Run it on the node, in an elevated PowerShell 5.1. It stops the site, keeps a dated copy of the config file, and edits
the values in place. Then it starts the site (also a site that was disabled) and waits until the site answers. A second
run changes nothing. -WhatIf only shows what the script would do. The script changes only values that differ, and
nothing else in the file.

The script reads secrets from parameters or environment variables, and keys also from the config file of the first node
(-KeysFrom \\first-node\c$\...\web.config).
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param(
    [string] $ConfigPath = 'C:\Program Files (x86)\UiPath\Orchestrator\UiPath.Orchestrator.dll.config',
    [string] $SiteName = 'UiPath Orchestrator',
    # The IIS id of the site on the first node: nodes share sessions in SQL Server only if their ids are equal.
    [int] $SiteId = 0,
    # The config file of the first node; the script reads from it the keys that are not given as parameters.
    [string] $KeysFrom = '',
    [string] $DecryptionKey = $env:NLBGEN_DECRYPTION_KEY,
    [string] $ValidationKey = $env:NLBGEN_VALIDATION_KEY,
    [string] $EncryptionKey = $env:NLBGEN_ENCRYPTION_KEY,
    [string] $PackagesApiKey = $env:NLBGEN_PACKAGES_API_KEY,
    [string] $ActivitiesApiKey = $env:NLBGEN_ACTIVITIES_API_KEY,
    [string] $RedisPassword = $env:NLBGEN_REDIS_PASSWORD,
    # The account of the app pool; with Windows authentication it needs access to SQL Server.
    [pscredential] $AppPoolCredential,
    [switch] $SkipStatusCheck
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$Secrets = @{
    'DecryptionKey' = @{ Value = $DecryptionKey; Variable = 'NLBGEN_DECRYPTION_KEY'; Section = 'system.web/machineKey'; Key = 'decryptionKey' }
    'ValidationKey' = @{ Value = $ValidationKey; Variable = 'NLBGEN_VALIDATION_KEY'; Section = 'system.web/machineKey'; Key = 'validationKey' }
    'EncryptionKey' = @{ Value = $EncryptionKey; Variable = 'NLBGEN_ENCRYPTION_KEY'; Section = 'secureAppSettings'; Key = 'EncryptionKey' }
    'PackagesApiKey' = @{ Value = $PackagesApiKey; Variable = 'NLBGEN_PACKAGES_API_KEY'; Section = 'appSettings'; Key = 'NuGet.Packages.ApiKey' }
    'ActivitiesApiKey' = @{ Value = $ActivitiesApiKey; Variable = 'NLBGEN_ACTIVITIES_API_KEY'; Section = 'appSettings'; Key = 'NuGet.Activities.ApiKey' }
    'RedisPassword' = @{ Value = $RedisPassword; Variable = 'NLBGEN_REDIS_PASSWORD'; Section = ''; Key = '' }
}

function Assert-Elevated {
    $principal = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'This script needs an elevated PowerShell: right-click PowerShell, Run as administrator.'
    }
}

function Read-Config {
    param([string] $Path)
    # A DOCTYPE is refused, and no external entity is loaded.
    $settings = New-Object Xml.XmlReaderSettings
    $settings.DtdProcessing = [Xml.DtdProcessing]::Prohibit
    $settings.XmlResolver = $null
    $document = New-Object Xml.XmlDocument
    $document.PreserveWhitespace = $true
    $document.XmlResolver = $null
    $reader = [Xml.XmlReader]::Create($Path, $settings)
    try { $document.Load($reader) } finally { $reader.Close() }
    return ,$document
}

function Get-Section {
    param([Xml.XmlDocument] $Document, [string] $Name)
    $steps = ($Name.Split('/') | ForEach-Object { "*[local-name()='$_']" }) -join '/'
    $own = "/*[local-name()='configuration']"
    $location = "$own/*[local-name()='location'][not(@path) or @path='' or @path='.']"
    $found = @($Document.SelectNodes("$own/$steps | $location/$steps"))
    if ($found.Count -gt 1) { throw "<$Name> is in the file more than once: ASP.NET allows a section once." }
    if ($found.Count -eq 0) { return $null }
    $section = $found[0]
    if ($section.HasAttribute('configProtectionProvider')) {
        throw "<$Name> is encrypted. Decrypt it first: UiPath.Orchestrator.Cli.exe protected-configuration -pd `"$Name`" -site `"$SiteName`" -app `"/`""
    }
    if ($section.HasAttribute('configSource') -or $section.HasAttribute('file')) {
        throw "<$Name> has settings in another file: use nlbgen nodes apply on a copy instead."
    }
    return $section
}

function Get-Add {
    param([Xml.XmlElement] $Section, [string] $Key)
    # As in ASP.NET: the last of equal keys counts; clear and remove drop what is before them.
    $found = $null
    foreach ($child in @($Section.SelectNodes('*'))) {
        switch -CaseSensitive ($child.LocalName) {
            'clear' { $found = $null }
            'remove' { if ($child.GetAttribute('key') -ieq $Key) { $found = $null } }
            'add' { if ($child.GetAttribute('key') -ieq $Key) { $found = $child } }
        }
    }
    return $found
}

function Add-Child {
    param([Xml.XmlElement] $Parent, [Xml.XmlElement] $Child)
    # The new element gets the indentation of the last one.
    $last = $Parent.SelectSingleNode('*[last()]')
    if ($null -ne $last) {
        if ($null -ne $last.PreviousSibling -and $last.PreviousSibling.NodeType -eq 'Whitespace') {
            $space = $Parent.OwnerDocument.CreateWhitespace($last.PreviousSibling.Value)
            [void] $Parent.InsertAfter($space, $last)
            [void] $Parent.InsertAfter($Child, $space)
            return
        }
        [void] $Parent.InsertAfter($Child, $last)
        return
    }
    [void] $Parent.PrependChild($Child)
}

function Get-Secret {
    param([string] $Name)
    $secret = $Secrets[$Name]
    if ($secret.Value) { return $secret.Value }
    if ($KeysFrom -and $secret.Section) {
        $section = Get-Section (Read-Config $KeysFrom) $secret.Section
        if ($null -ne $section) {
            $value = $section.GetAttribute($secret.Key)
            if ($secret.Section -notlike '*/*') {
                $add = Get-Add $section $secret.Key
                $value = ''
                if ($null -ne $add) { $value = $add.GetAttribute('value') }
            }
            if ($value -match '^AutoGenerate|IsolateApps') { throw "$Name of $KeysFrom is generated by ASP.NET: write fixed keys there first." }
            if ($value) { return $value }
        }
    }
    throw "$Name is missing: give -$Name, set `$env:$($secret.Variable), or (for keys) give -KeysFrom."
}

function ConvertTo-SqlValue {
    param([string] $Text)
    if ($Text -match '^[^"''=;\s\p{Cc}]+$') { return $Text }
    if ($Text.Contains('"') -and -not $Text.Contains("'")) { return "'" + $Text + "'" }
    return '"' + $Text.Replace('"', '""') + '"'
}

function ConvertTo-RedisPassword {
    param([string] $Text)
    if ($Text.Contains(',') -or $Text -ne $Text.Trim() -or $Text -match '\p{Cc}') {
        throw 'StackExchange.Redis cannot use this password: it must not contain commas or spaces at the ends.'
    }
    return $Text
}

function Set-Setting {
    param([Xml.XmlDocument] $Document, [string] $SectionName, [string] $Key, [string] $Value, [bool] $Secret)
    $section = Get-Section $Document $SectionName
    if ($null -eq $section) { throw "The file has no <$SectionName> for ${Key}: check that it is the node's own file." }
    $add = Get-Add $section $Key
    if ($null -ne $add -and $add.GetAttribute('value') -ceq $Value) { return }
    if ($null -eq $add) {
        $add = $Document.CreateElement('add', $section.NamespaceURI)
        $add.SetAttribute('key', $Key)
        Add-Child $section $add
    }
    $add.SetAttribute('value', $Value)
    Write-Change "$SectionName/$Key" $Value $Secret
}

function Set-SectionAttribute {
    param([Xml.XmlDocument] $Document, [string] $SectionName, [string] $Name, [string] $Value, [bool] $Secret)
    $section = Get-Section $Document $SectionName
    if ($null -eq $section) {
        $parts = $SectionName.Split('/')
        $parent = Get-Section $Document $parts[0]
        if ($null -eq $parent) { throw "The file has no <$($parts[0])> for <$($parts[1])>: check that it is the node's own file." }
        $section = $Document.CreateElement($parts[1], $parent.NamespaceURI)
        Add-Child $parent $section
    }
    if ($section.HasAttribute($Name) -and $section.GetAttribute($Name) -ceq $Value) { return }
    $section.SetAttribute($Name, $Value)
    Write-Change "$SectionName@$Name" $Value $Secret
}

function Remove-SectionAttribute {
    param([Xml.XmlDocument] $Document, [string] $SectionName, [string] $Name)
    $section = Get-Section $Document $SectionName
    if ($null -eq $section -or -not $section.HasAttribute($Name)) { return }
    $section.RemoveAttribute($Name)
    Write-Change "$SectionName@$Name" '(removed)' $false
}

function Write-Change {
    param([string] $Path, [string] $Value, [bool] $Secret)
    $script:Changes++
    $shown = $Value
    if ($Secret) { $shown = '(secret)' }
    Write-Host "  $Path = $shown"
}

function Save-Config {
    param([Xml.XmlDocument] $Document, [string] $Path, [string] $Backup)
    # Keep the encoding and the byte order mark.
    $raw = [IO.File]::ReadAllBytes($Path)
    $encoding = New-Object Text.UTF8Encoding($false)
    $declared = $null
    if ($Document.FirstChild -is [Xml.XmlDeclaration]) { $declared = $Document.FirstChild.Encoding }
    if ($raw.Length -ge 2 -and $raw[0] -eq 0xFF -and $raw[1] -eq 0xFE) { $encoding = New-Object Text.UnicodeEncoding($false, $true) }
    elseif ($raw.Length -ge 2 -and $raw[0] -eq 0xFE -and $raw[1] -eq 0xFF) { $encoding = New-Object Text.UnicodeEncoding($true, $true) }
    elseif ($raw.Length -ge 3 -and $raw[0] -eq 0xEF -and $raw[1] -eq 0xBB -and $raw[2] -eq 0xBF) { $encoding = New-Object Text.UTF8Encoding($true) }
    elseif ($declared -and $declared -ine 'utf-8') { $encoding = [Text.Encoding]::GetEncoding($declared) }
    $settings = New-Object Xml.XmlWriterSettings
    $settings.Encoding = $encoding
    $settings.OmitXmlDeclaration = -not ($Document.FirstChild -is [Xml.XmlDeclaration])
    # The reader turned every line end into one character. Replace writes the original ones, and keeps line ends in values.
    $settings.NewLineHandling = [Xml.NewLineHandling]::Replace
    $settings.NewLineChars = "`n"
    if ($encoding.GetString($raw).Contains("`r`n")) { $settings.NewLineChars = "`r`n" }
    $settings.Indent = $false
    $temporary = "$Path.nlbgen.tmp"
    $writer = [Xml.XmlWriter]::Create($temporary, $settings)
    try { $Document.Save($writer) } finally { $writer.Close() }
    # Replace the file in one step, keep its access rules, and keep the old file as the backup.
    [IO.File]::Replace($temporary, $Path, $Backup)
}

function Get-BackupName {
    param([string] $Path)
    $dated = "$Path.$(Get-Date -Format 'yyyyMMdd-HHmmss')"
    $name = "$dated.bak"
    for ($number = 2; Test-Path -LiteralPath $name; $number++) { $name = "$dated-$number.bak" }
    return $name
}

function Test-NodeStarted {
    param([string] $SiteName, [string] $Pool)
    return (Get-WebAppPoolState -Name $Pool).Value -eq 'Started' -and (Get-WebsiteState -Name $SiteName).Value -eq 'Started'
}

function Start-Node {
    param([string] $SiteName, [string] $Pool)
    if ((Get-WebAppPoolState -Name $Pool).Value -ne 'Started') { Start-WebAppPool -Name $Pool }
    if ((Get-WebsiteState -Name $SiteName).Value -ne 'Started') { Start-Website -Name $SiteName }
}

function Wait-Status {
    param([string] $Url, [string] $HostName)
    # The certificate has the farm's name and not localhost: this request accepts any certificate.
    if (-not ('NlbgenTrust' -as [type])) {
        Add-Type -TypeDefinition @'
public static class NlbgenTrust
{
    public static System.Net.Security.RemoteCertificateValidationCallback Any = delegate { return true; };
}
'@
    }
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
    for ($attempt = 1; $attempt -le 60; $attempt++) {
        $status = 0
        try {
            $request = [Net.HttpWebRequest]::Create($Url)
            $request.Host = $HostName
            $request.Timeout = 10000
            $request.AllowAutoRedirect = $false
            $request.ServerCertificateValidationCallback = [NlbgenTrust]::Any
            $response = $request.GetResponse()
            $status = [int] $response.StatusCode
            $response.Close()
        }
        catch [Net.WebException] {
            if ($null -ne $_.Exception.Response) { $status = [int] $_.Exception.Response.StatusCode }
        }
        if ($status -eq 200) { return }
        Write-Verbose "$Url answers $status; trying again"
        Start-Sleep -Seconds 5
    }
    throw "$Url does not answer 200 after 5 minutes. The old config file is in the same folder as the new one."
}

Assert-Elevated
Import-Module WebAdministration
if (-not (Test-Path -LiteralPath $ConfigPath)) { throw "$ConfigPath does not exist: give -ConfigPath." }
$site = Get-Website | Where-Object { $_.Name -eq $SiteName }
if ($null -eq $site) { throw "IIS has no site $SiteName`: give -SiteName." }
if ($SiteId -ne 0 -and $site.id -ne $SiteId) {
    Write-Warning "The site has the id $($site.id) here and $SiteId on the first node: the nodes would not share sessions. Give it the same id in IIS Manager (Advanced Settings)."
}
Write-Host "Site $SiteName has the id $($site.id); it must be the same on every node."
$pool = $site.applicationPool

$Changes = 0
$document = Read-Config $ConfigPath
Write-Host "Settings to change in $ConfigPath`:"
Set-SectionAttribute $document 'system.web/machineKey' 'decryptionKey' (Get-Secret 'DecryptionKey') $true
Set-SectionAttribute $document 'system.web/machineKey' 'validationKey' (Get-Secret 'ValidationKey') $true
Set-SectionAttribute $document 'system.web/machineKey' 'decryption' 'AES' $false
Set-SectionAttribute $document 'system.web/machineKey' 'validation' 'SHA1' $false
Remove-SectionAttribute $document 'system.web/machineKey' 'compatibilityMode'
Set-Setting $document 'secureAppSettings' 'EncryptionKey' (Get-Secret 'EncryptionKey') $true
Set-Setting $document 'appSettings' 'NuGet.Packages.ApiKey' (Get-Secret 'PackagesApiKey') $true
Set-Setting $document 'appSettings' 'NuGet.Activities.ApiKey' (Get-Secret 'ActivitiesApiKey') $true
Set-Setting $document 'appSettings' 'LoadBalancer.UseRedis' 'true' $false
Set-Setting $document 'appSettings' 'LoadBalancer.Redis.ConnectionString' ('redis-1.corp.example:10000' + ',password=' + (ConvertTo-RedisPassword (Get-Secret 'RedisPassword'))) $true
Set-Setting $document 'appSettings' 'quartz.jobStore.clustered' 'true' $false
Write-Host "$Changes settings to change."

# Only a prepared node may run. A new node was stopped after its installation; it stays stopped until its file is correct.
$prepared = $Changes -eq 0
$running = $site.state -eq 'Started'
if (-not $prepared -and $PSCmdlet.ShouldProcess($ConfigPath, "change $Changes settings, with site $SiteName stopped")) {
    $backup = Get-BackupName $ConfigPath
    if ($running) { Stop-Website -Name $SiteName }
    try {
        if ((Get-WebAppPoolState -Name $pool).Value -eq 'Started') { Stop-WebAppPool -Name $pool }
        for ($wait = 0; $wait -lt 60 -and (Get-WebAppPoolState -Name $pool).Value -ne 'Stopped'; $wait++) { Start-Sleep -Seconds 1 }
        Save-Config $document $ConfigPath $backup
        $prepared = $true
        Write-Host "The old file is $backup"
    }
    finally {
        # The old file is still in place, and its keys are not the farm's: the node stays stopped.
        if (-not $prepared) { Write-Warning "$ConfigPath was not changed. $SiteName stays stopped: it must not run with its own keys." }
    }
}

# By default an app pool stops after 20 idle minutes, and the next requests wait for its start.
$poolPath = "IIS:\AppPools\$pool"
if ((Get-ItemProperty $poolPath -Name startMode) -ne 'AlwaysRunning' -and $PSCmdlet.ShouldProcess($pool, 'set startMode AlwaysRunning')) {
    Set-ItemProperty $poolPath -Name startMode -Value 'AlwaysRunning'
}
if ((Get-ItemProperty $poolPath -Name processModel.idleTimeout).Value -ne [TimeSpan]::Zero -and $PSCmdlet.ShouldProcess($pool, 'set idleTimeout 0')) {
    Set-ItemProperty $poolPath -Name processModel.idleTimeout -Value ([TimeSpan]::Zero)
}
if ($null -ne $AppPoolCredential -and $PSCmdlet.ShouldProcess($pool, "run as $($AppPoolCredential.UserName)")) {
    Set-ItemProperty $poolPath -Name processModel -Value @{
        identityType = 'SpecificUser'
        userName = $AppPoolCredential.UserName
        password = $AppPoolCredential.GetNetworkCredential().Password
    }
    if ((Get-WebAppPoolState -Name $pool).Value -eq 'Started') { Restart-WebAppPool -Name $pool }
}

if ($prepared -or $WhatIfPreference) {
    # The runbook disabled the automatic start of a new node, so that it did not run with its own keys.
    if (-not $site.serverAutoStart -and $PSCmdlet.ShouldProcess($SiteName, 'let the site start with Windows')) {
        Set-ItemProperty "IIS:\Sites\$SiteName" -Name serverAutoStart -Value $true
    }
    if (-not (Get-Item $poolPath).autoStart -and $PSCmdlet.ShouldProcess($pool, 'let the app pool start with Windows')) {
        Set-ItemProperty $poolPath -Name autoStart -Value $true
    }
    if (-not (Test-NodeStarted $SiteName $pool) -and $PSCmdlet.ShouldProcess($SiteName, 'start')) { Start-Node $SiteName $pool }
}
else { Write-Warning "Nothing was changed. $SiteName keeps its state: a new node must not run with its own keys." }

if ($prepared -and -not $SkipStatusCheck -and -not $WhatIfPreference) {
    Wait-Status 'https://localhost:443/api/health' 'orchestrator.corp.example'
    Write-Host 'orch-2 answers: the node is ready.'
}
