#Requires -Version 5.1
#Requires -PSEdition Desktop
# Preparation of the node orch--2 of the farm farm--x
# Made by nlbgen VERSION from the spec with digest 7b7f2cbc533f8f0a.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Prepares this machine as the node orch--2 of the farm farm--x: keys, stores, app pool.

.DESCRIPTION
Run it on orch--2, in an elevated Windows PowerShell 5.1. PowerShell 7 cannot run it: the module WebAdministration needs
Windows PowerShell. -WhatIf only shows what the script would do.

The script edits a copy of the config file beside it, then stops the site, replaces the file, keeps the old one as a dated
backup, and starts the site. After that it sets the app pool, and waits until the site answers. If the site ran with the
farm's keys before and does not answer now, the old file goes back and the site runs as before; with -NoRollback the
script only prints the commands. A second run changes nothing.

Only the values that differ change. Line ends, indentation, comments and encoding stay.

The script reads passwords from parameters or environment variables, and keys also from the config file of the first node
(-KeysFrom \\first-node\C$\...\web.config). It knows the fingerprints of the farm's keys and refuses others.
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param(
    [string] $ConfigPath = 'D:\O''Brien’’s (x86)\$x`\Orchestrator\web.config',
    [string] $SiteName = 'O''Brien’’s “Site” #1; (x86) {} [ünïcode] ^!~ ''x''',
    # The IIS id of the site on the first node: nodes share sessions in SQL Server only if their ids are equal.
    [int] $SiteId = 0,
    # A config file with the farm's keys; the script reads from it the keys that are not given as parameters.
    [string] $KeysFrom = '',
    [string] $DecryptionKey = $env:NLBGEN_DECRYPTION_KEY,
    [string] $ValidationKey = $env:NLBGEN_VALIDATION_KEY,
    [string] $EncryptionKey = $env:NLBGEN_ENCRYPTION_KEY,
    [string] $PackagesApiKey = $env:NLBGEN_PACKAGES_API_KEY,
    [string] $ActivitiesApiKey = $env:NLBGEN_ACTIVITIES_API_KEY,
    [string] $SqlPassword = $env:NLBGEN_TEST_SQL,
    # The account of the app pool; with Windows authentication it needs access to SQL Server.
    [pscredential] $AppPoolCredential,
    # Print the commands of the rollback instead of running them if the site does not answer.
    [switch] $NoRollback,
    [switch] $SkipStatusCheck
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$Secrets = @{
    'DecryptionKey' = @{ Value = $DecryptionKey; Variable = 'NLBGEN_DECRYPTION_KEY'; Section = 'system.web/machineKey'; Key = 'decryptionKey'; Fingerprint = 'sha256:1a3f2c37da43' }
    'ValidationKey' = @{ Value = $ValidationKey; Variable = 'NLBGEN_VALIDATION_KEY'; Section = 'system.web/machineKey'; Key = 'validationKey'; Fingerprint = 'sha256:37df5f4d820c' }
    'EncryptionKey' = @{ Value = $EncryptionKey; Variable = 'NLBGEN_ENCRYPTION_KEY'; Section = 'secureAppSettings'; Key = 'EncryptionKey'; Fingerprint = 'sha256:a09d1473b94a' }
    'PackagesApiKey' = @{ Value = $PackagesApiKey; Variable = 'NLBGEN_PACKAGES_API_KEY'; Section = 'appSettings'; Key = 'NuGet.Packages.ApiKey'; Fingerprint = 'sha256:d51dfe1c00d7' }
    'ActivitiesApiKey' = @{ Value = $ActivitiesApiKey; Variable = 'NLBGEN_ACTIVITIES_API_KEY'; Section = 'appSettings'; Key = 'NuGet.Activities.ApiKey'; Fingerprint = 'sha256:1ba37708fa24' }
    'SqlPassword' = @{ Value = $SqlPassword; Variable = 'NLBGEN_TEST_SQL'; Section = ''; Key = ''; Fingerprint = '' }
}
# The fingerprint of the farm's EncryptionKey, as in nlbgen nodes keys.
$FarmKey = 'sha256:a09d1473b94a'
$EncryptionSections = @('secureAppSettings', 'appSettings')
# The farm's nodes: each node has its own script.
$Node = 'orch--2'
$OwnAddress = '10.20.0.12'
$OtherNodes = @(
    @{ Name = 'orch-1'; Address = '10.20.0.11' }
)
$StartTag = New-Object Text.RegularExpressions.Regex('\G(?<name>[^\s/>]+)(?<attribute>\s+(?<key>[^\s=]+)\s*=\s*(?<value>"[^"]*"|''[^'']*''))*')

function Assert-Elevated {
    $principal = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'This script needs an elevated PowerShell: right-click PowerShell, Run as administrator.'
    }
}

function Assert-OwnMachine {
    $network = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    $here = @($network.HostName, "$($network.HostName).$($network.DomainName)")
    foreach ($interface in [Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
        foreach ($address in $interface.GetIPProperties().UnicastAddresses) { $here += $address.Address.ToString() }
    }
    if ($here -contains $OwnAddress) { return }
    foreach ($other in $OtherNodes) {
        if ($here -contains $other.Address) {
            throw "This machine has the address of $($other.Name) ($($other.Address)), and this script is for $Node ($OwnAddress): run the script of $($other.Name) here. Nothing was changed."
        }
    }
}

function Get-Fingerprint {
    param([string] $Text)
    $algorithm = [Security.Cryptography.SHA256]::Create()
    try { $hash = $algorithm.ComputeHash([Text.Encoding]::UTF8.GetBytes($Text)) } finally { $algorithm.Dispose() }
    return 'sha256:' + [BitConverter]::ToString($hash).Replace('-', '').Substring(0, 12).ToLowerInvariant()
}

function ConvertTo-Quoted {
    # A text in single quotes, for the commands that the script prints.
    param([string] $Text)
    return "'" + [regex]::Replace($Text, "['\u2018-\u201B]", '$0$0') + "'"
}

function Open-Xml {
    # A DOCTYPE is refused, and no external entity is loaded.
    param([string] $Text)
    $source = New-Object IO.StringReader($Text)
    $reader = New-Object Xml.XmlTextReader($source)
    $reader.DtdProcessing = [Xml.DtdProcessing]::Prohibit
    $reader.XmlResolver = $null
    return $reader
}

function Read-Xml {
    param([string] $Text, [string] $Path)
    $document = New-Object Xml.XmlDocument
    $document.PreserveWhitespace = $true
    $document.XmlResolver = $null
    $reader = Open-Xml $Text
    # The message of the exception can hold a part of a secret.
    try { $document.Load($reader) }
    catch [Xml.XmlException] { throw "$Path is not well-formed XML: line $($_.Exception.LineNumber), column $($_.Exception.LinePosition)." }
    finally { $reader.Close() }
    return ,$document
}

function Get-TextEncoding {
    # By the byte order mark, then by the declaration; bytes that are not valid in it are an error.
    param([byte[]] $Bytes)
    if ($Bytes.Length -ge 2 -and $Bytes[0] -eq 0xFF -and $Bytes[1] -eq 0xFE) { return New-Object Text.UnicodeEncoding($false, $true, $true) }
    if ($Bytes.Length -ge 2 -and $Bytes[0] -eq 0xFE -and $Bytes[1] -eq 0xFF) { return New-Object Text.UnicodeEncoding($true, $true, $true) }
    if ($Bytes.Length -ge 3 -and $Bytes[0] -eq 0xEF -and $Bytes[1] -eq 0xBB -and $Bytes[2] -eq 0xBF) { return New-Object Text.UTF8Encoding($true, $true) }
    $head = [Text.Encoding]::ASCII.GetString($Bytes, 0, [Math]::Min($Bytes.Length, 200))
    if ($head -match '^<\?xml[^>]*?encoding\s*=\s*["'']([A-Za-z0-9._-]+)["'']' -and $Matches[1] -ine 'utf-8') {
        return [Text.Encoding]::GetEncoding($Matches[1], [Text.EncoderFallback]::ExceptionFallback, [Text.DecoderFallback]::ExceptionFallback)
    }
    return New-Object Text.UTF8Encoding($false, $true)
}

function Read-Config {
    # $Path is resolved: .NET has a current folder of its own.
    param([string] $Path)
    try {
        $bytes = [IO.File]::ReadAllBytes($Path)
        $encoding = Get-TextEncoding $bytes
        $mark = $encoding.GetPreamble().Length
        $text = $encoding.GetString($bytes, $mark, $bytes.Length - $mark)
    }
    catch { throw "$Path cannot be read: $($_.Exception.GetBaseException().Message)" }
    return @{ Path = $Path; Bytes = $bytes; Encoding = $encoding; Text = $text; Document = (Read-Xml $text $Path) }
}

function Get-Section {
    param([hashtable] $File, [string] $Name)
    $steps = ($Name.Split('/') | ForEach-Object { "*[local-name()='$_']" }) -join '/'
    $own = "/*[local-name()='configuration']"
    $location = "$own/*[local-name()='location'][not(@path) or @path='' or @path='.']"
    $found = @($File.Document.SelectNodes("$own/$steps | $location/$steps"))
    if ($found.Count -gt 1) { throw "$($File.Path): <$Name> is in the file more than once: ASP.NET allows a section once." }
    if ($found.Count -eq 0) { return $null }
    $section = $found[0]
    if ($section.HasAttribute('configProtectionProvider')) {
        throw "$($File.Path): <$Name> is encrypted. Decrypt it on the machine that the file is from: aspnet_regiis -pd `"$Name`" -site `"$SiteName`" -app `"/`""
    }
    if ($section.HasAttribute('configSource') -or $section.HasAttribute('file')) {
        throw "$($File.Path): <$Name> has settings in another file: use nlbgen nodes apply on a copy instead."
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

function Get-Value {
    # The value of a setting, or of an attribute of a section below system.web; nothing if it is absent.
    param([hashtable] $File, [string] $SectionName, [string] $Key)
    $section = Get-Section $File $SectionName
    if ($null -eq $section) { return $null }
    if ($SectionName -like '*/*') {
        if ($section.HasAttribute($Key)) { return $section.GetAttribute($Key) }
        return $null
    }
    $add = Get-Add $section $Key
    if ($null -eq $add) { return $null }
    return $add.GetAttribute('value')
}

function Get-KeySection {
    # The sections in which a file has a key: EncryptionKey can be in either of two.
    param([hashtable] $File, [string] $SectionName, [string] $Key)
    if ($Key -cne 'EncryptionKey') { return $SectionName }
    foreach ($name in $EncryptionSections) { if ($null -ne (Get-Value $File $name $Key)) { $name } }
}

function Test-FarmKey {
    # Whether a file has the farm's EncryptionKey, in each section that has one.
    param([hashtable] $File)
    $sections = @(Get-KeySection $File '' 'EncryptionKey')
    foreach ($name in $sections) {
        if ((Get-Fingerprint (Get-Value $File $name 'EncryptionKey')) -cne $FarmKey) { return $false }
    }
    return $sections.Count -gt 0
}

function Get-Secret {
    param([string] $Name)
    $secret = $Secrets[$Name]
    $value = $secret.Value
    $source = "-$Name"
    if (-not $value -and $KeysFrom -and $secret.Section) {
        $source = $KeysFrom
        foreach ($section in @(Get-KeySection $script:KeysFile $secret.Section $secret.Key)) {
            $value = Get-Value $script:KeysFile $section $secret.Key
        }
        if ($value -match '^\s*AutoGenerate|IsolateApps') { throw "$Name of $KeysFrom is generated by ASP.NET (AutoGenerate): run nlbgen nodes keys --generate for this file, copy it back to its node and restart the site there. Nothing was changed." }
    }
    if (-not $value) { throw "$Name is missing: give -$Name, set `$env:$($secret.Variable), or (for keys) give -KeysFrom." }
    if ($secret.Fingerprint -and (Get-Fingerprint $value) -cne $secret.Fingerprint) {
        throw "$Name of $source has the fingerprint $(Get-Fingerprint $value), and that of the farm is $($secret.Fingerprint): name the file with the farm's keys. If the keys of the farm were changed, run nlbgen render nodes again. Nothing was changed."
    }
    return $value
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
        throw 'The connection string of StackExchange.Redis cannot hold this password: it must not contain commas, or spaces at the ends.'
    }
    return $Text
}

function ConvertTo-AttributeText {
    # The value of an attribute between these quotes, in this encoding.
    param([string] $Value, [string] $Quote, [Text.Encoding] $Encoding)
    $text = $Value.Replace('&', '&amp;').Replace('<', '&lt;').Replace("`t", '&#9;').Replace("`n", '&#10;').Replace("`r", '&#13;')
    if ($Quote -eq '"') { $text = $text.Replace('"', '&quot;') } else { $text = $text.Replace("'", '&apos;') }
    if (@('utf-8', 'utf-16', 'utf-16BE') -notcontains $Encoding.WebName) {
        $text = [regex]::Replace($text, '[\uD800-\uDBFF][\uDC00-\uDFFF]|[^\x00-\x7F]', { param($match) '&#' + [char]::ConvertToUtf32($match.Value, 0) + ';' })
    }
    return $Quote + $text + $Quote
}

function Get-Place {
    # Where an element is in the text: the offset of its name, and the one after its end.
    param([hashtable] $File, [Xml.XmlElement] $Element)
    $before = $Element.SelectNodes('preceding::* | ancestor::*').Count
    $lines = @(0) + @([regex]::Matches($File.Text, "\r\n|\r|\n") | ForEach-Object { $_.Index + $_.Length })
    $start = -1
    $end = -1
    $depth = 0
    $number = 0
    $reader = Open-Xml $File.Text
    try {
        while ($end -lt 0 -and $reader.Read()) {
            if ($reader.NodeType -eq [Xml.XmlNodeType]::Element) {
                if ($number -eq $before) {
                    $start = $lines[$reader.LineNumber - 1] + $reader.LinePosition - 1
                    $depth = $reader.Depth
                    if ($reader.IsEmptyElement) { $end = $File.Text.IndexOf('>', $start + $StartTag.Match($File.Text, $start).Length) + 1 }
                }
                $number++
            }
            elseif ($reader.NodeType -eq [Xml.XmlNodeType]::EndElement -and $start -ge 0 -and $reader.Depth -eq $depth) {
                $end = $File.Text.IndexOf('>', $lines[$reader.LineNumber - 1] + $reader.LinePosition - 1) + 1
            }
        }
    }
    finally { $reader.Close() }
    return @{ Start = $start; End = $end }
}

function Edit-Text {
    param([hashtable] $File, [int] $Start, [int] $Length, [string] $New)
    $File.Text = $File.Text.Remove($Start, $Length).Insert($Start, $New)
    $File.Document = Read-Xml $File.Text $File.Path
}

function Edit-Attribute {
    # Sets an attribute; without a value it is removed.
    param([hashtable] $File, [Xml.XmlElement] $Element, [string] $Name, $Value)
    $tag = $StartTag.Match($File.Text, (Get-Place $File $Element).Start)
    $keys = $tag.Groups['key'].Captures
    for ($number = 0; $number -lt $keys.Count; $number++) {
        if ($keys[$number].Value -cne $Name) { continue }
        if ($null -eq $Value) {
            $old = $tag.Groups['attribute'].Captures[$number]
            Edit-Text $File $old.Index $old.Length ''
            return
        }
        $old = $tag.Groups['value'].Captures[$number]
        $quote = $old.Value.Substring(0, 1)
        Edit-Text $File $old.Index $old.Length (ConvertTo-AttributeText $Value $quote $File.Encoding)
        return
    }
    Edit-Text $File ($tag.Index + $tag.Length) 0 (" $Name=" + (ConvertTo-AttributeText $Value '"' $File.Encoding))
}

function Add-Child {
    param([hashtable] $File, [Xml.XmlElement] $Parent, [string] $New)
    $last = $Parent.SelectSingleNode('*[last()]')
    if ($null -ne $last) {
        # The new element gets the indentation of the last one.
        $place = Get-Place $File $last
        $before = $File.Text.Substring(0, $place.Start - 1)
        Edit-Text $File $place.End 0 ($before.Substring($before.TrimEnd().Length) + $New)
        return
    }
    $place = Get-Place $File $Parent
    $tag = $StartTag.Match($File.Text, $place.Start)
    $behind = $tag.Index + $tag.Length
    if ($File.Text.Substring($behind, $place.End - $behind).EndsWith('/>')) {
        Edit-Text $File $behind ($place.End - $behind) (">$New</" + $tag.Groups['name'].Value + '>')
        return
    }
    Edit-Text $File ($File.Text.IndexOf('>', $behind) + 1) 0 $New
}

function Set-Setting {
    param([hashtable] $File, [string] $SectionName, [string] $Key, [string] $Value, [bool] $Secret)
    $section = Get-Section $File $SectionName
    if ($null -eq $section) { throw "$($File.Path) has no <$SectionName> for ${Key}: check that it is the node's own file." }
    $add = Get-Add $section $Key
    if ($null -eq $add) {
        $name = ConvertTo-AttributeText $Key '"' $File.Encoding
        Add-Child $File $section ("<add key=$name value=" + (ConvertTo-AttributeText $Value '"' $File.Encoding) + ' />')
    }
    elseif ($add.GetAttribute('value') -ceq $Value) { return }
    else { Edit-Attribute $File $add 'value' $Value }
    Write-Change "$SectionName/$Key" $Value $Secret
}

function Set-SectionAttribute {
    param([hashtable] $File, [string] $SectionName, [string] $Name, [string] $Value, [bool] $Secret)
    $section = Get-Section $File $SectionName
    if ($null -eq $section) {
        $parts = $SectionName.Split('/')
        $parent = Get-Section $File $parts[0]
        if ($null -eq $parent) { throw "$($File.Path) has no <$($parts[0])> for <$($parts[1])>: check that it is the node's own file." }
        Add-Child $File $parent ("<$($parts[1]) $Name=" + (ConvertTo-AttributeText $Value '"' $File.Encoding) + ' />')
    }
    elseif ($section.HasAttribute($Name) -and $section.GetAttribute($Name) -ceq $Value) { return }
    else { Edit-Attribute $File $section $Name $Value }
    Write-Change "$SectionName@$Name" $Value $Secret
}

function Remove-SectionAttribute {
    param([hashtable] $File, [string] $SectionName, [string] $Name)
    $section = Get-Section $File $SectionName
    if ($null -eq $section -or -not $section.HasAttribute($Name)) { return }
    Edit-Attribute $File $section $Name $null
    Write-Change "$SectionName@$Name" '(removed)' $false
}

function Set-Key {
    # A key that has the farm's fingerprint already is not needed again.
    param([hashtable] $File, [string] $SectionName, [string] $Key, [string] $Parameter)
    $sections = @(Get-KeySection $File $SectionName $Key)
    if ($sections.Count -eq 0) { $sections = @($SectionName) }
    foreach ($name in $sections) {
        $old = Get-Value $File $name $Key
        if ($old -and (Get-Fingerprint $old) -ceq $Secrets[$Parameter].Fingerprint) { continue }
        if ($name -like '*/*') { Set-SectionAttribute $File $name $Key (Get-Secret $Parameter) $true }
        else { Set-Setting $File $name $Key (Get-Secret $Parameter) $true }
    }
}

function Write-Change {
    param([string] $Path, [string] $Value, [bool] $Secret)
    $script:Counted++
    $shown = $Value
    if ($Secret) { $shown = '(secret)' }
    Write-Host "  $Path = $shown"
}

function Set-FarmSetting {
    # All settings of the farm for this node.
    param([hashtable] $File)
    $script:Counted = 0
    Set-Key $File 'system.web/machineKey' 'decryptionKey' 'DecryptionKey'
    Set-Key $File 'system.web/machineKey' 'validationKey' 'ValidationKey'
    Set-SectionAttribute $File 'system.web/machineKey' 'decryption' 'AES' $false
    Set-SectionAttribute $File 'system.web/machineKey' 'validation' 'SHA1' $false
    Remove-SectionAttribute $File 'system.web/machineKey' 'compatibilityMode'
    Set-Key $File 'secureAppSettings' 'EncryptionKey' 'EncryptionKey'
    Set-Key $File 'appSettings' 'NuGet.Packages.ApiKey' 'PackagesApiKey'
    Set-Key $File 'appSettings' 'NuGet.Activities.ApiKey' 'ActivitiesApiKey'
    Set-SectionAttribute $File 'system.web/sessionState' 'mode' 'SQLServer' $false
    Set-SectionAttribute $File 'system.web/sessionState' 'sqlConnectionString' ('Server="SQL''01\PROD";Database="Ui]Pa''th";user id="o''brien";password=' + (ConvertTo-SqlValue (Get-Secret 'SqlPassword')) + ';') $true
    Set-SectionAttribute $File 'system.web/sessionState' 'allowCustomSqlDatabase' 'true' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.UseSqlServer' 'true' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.UseRedis' 'false' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.DisableBackgroundJobs' 'false' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.Redis.Server' '' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.Redis.Port' '' $false
    Set-Setting $File 'appSettings' 'LoadBalancer.Redis.Password' '' $false
    Set-Setting $File 'appSettings' 'quartz.jobStore.clustered' 'true' $false
    Set-Setting $File 'appSettings' 'Storage.Type' 'FileSystem' $false
    Set-Setting $File 'appSettings' 'Storage.Location' 'RootPath=\\files.corp.example\orchestrator' $false
    Set-Setting $File 'appSettings' 'NuGet.Repository.Type' 'Composite' $false
    return $script:Counted
}

function Get-BackupName {
    param([string] $Path)
    $dated = "$Path.$(Get-Date -Format 'yyyyMMdd-HHmmss')"
    $name = "$dated.bak"
    for ($number = 2; Test-Path -LiteralPath $name; $number++) { $name = "$dated-$number.bak" }
    return $name
}

function Write-Scratch {
    # The new file beside the old one; a disk that is full shows itself here.
    param([hashtable] $File, [string] $Path)
    [IO.File]::WriteAllText($Path, $File.Text, $File.Encoding)
    if ([IO.File]::ReadAllText($Path, $File.Encoding) -cne $File.Text) { throw "$Path was not written completely." }
}

function Remove-Scratch {
    param([string] $Path)
    try { if (Test-Path -LiteralPath $Path) { Remove-Item -LiteralPath $Path -Force } }
    catch { Write-Warning "$Path contains keys and could not be deleted: delete it." }
}

function Test-SameBytes {
    param([string] $Path, [byte[]] $Bytes)
    return [Convert]::ToBase64String([IO.File]::ReadAllBytes($Path)) -ceq [Convert]::ToBase64String($Bytes)
}

function Get-StartCommand {
    param([string] $Pool)
    return "Start-WebAppPool -Name $(ConvertTo-Quoted $Pool); Start-Website -Name $(ConvertTo-Quoted $SiteName)"
}

function Get-StopCommand {
    param([string] $Pool)
    return "Stop-Website -Name $(ConvertTo-Quoted $SiteName); Stop-WebAppPool -Name $(ConvertTo-Quoted $Pool)"
}

function Test-NodeStarted {
    param([string] $Pool)
    return (Get-WebAppPoolState -Name $Pool).Value -eq 'Started' -and (Get-WebsiteState -Name $SiteName).Value -eq 'Started'
}

function Stop-Node {
    param([string] $Pool)
    if ((Get-WebsiteState -Name $SiteName).Value -ne 'Stopped') { Stop-Website -Name $SiteName }
    if ((Get-WebAppPoolState -Name $Pool).Value -eq 'Started') { Stop-WebAppPool -Name $Pool }
    for ($wait = 0; $wait -lt 60 -and (Get-WebAppPoolState -Name $Pool).Value -ne 'Stopped'; $wait++) { Start-Sleep -Seconds 1 }
    if ((Get-WebAppPoolState -Name $Pool).Value -ne 'Stopped') { throw "The app pool $Pool does not stop within 60 seconds: end its w3wp.exe in Task Manager, then run this script again." }
}

function Start-Node {
    param([string] $Pool)
    # A pool that still stops cannot be started.
    for ($wait = 0; $wait -lt 60 -and (Get-WebAppPoolState -Name $Pool).Value -eq 'Stopping'; $wait++) { Start-Sleep -Seconds 1 }
    if ((Get-WebAppPoolState -Name $Pool).Value -ne 'Started') { Start-WebAppPool -Name $Pool }
    if ((Get-WebsiteState -Name $SiteName).Value -ne 'Started') { Start-Website -Name $SiteName }
}

function Restore-Node {
    # After a failure: a node that served before serves again, and one line says what state is left.
    param([string] $Pool, [bool] $Replaced, [bool] $Served)
    $state = 'The old config file is in place.'
    if ($Replaced) { $state = 'The new config file is in place.' }
    elseif (-not $Served) {
        Write-Warning "$state $SiteName was not started, because it must not run with its own keys. If it still runs, stop it: $(Get-StopCommand $Pool)"
        return
    }
    try {
        Start-Node $Pool
        Write-Warning "$state $SiteName runs again. Solve the problem, then run this script again."
    }
    catch { Write-Warning "$state $SiteName does not run: $($_.Exception.GetBaseException().Message) Start it: $(Get-StartCommand $Pool)" }
}

function Get-Answer {
    # One request to the site: its status and where it redirects to.
    param([string] $Url, [string] $HostName)
    $answer = @{ Status = 0; Location = '' }
    $response = $null
    try {
        $request = [Net.HttpWebRequest]::Create($Url)
        $request.Host = $HostName
        $request.Timeout = 10000
        $request.AllowAutoRedirect = $false
        $request.ServerCertificateValidationCallback = [NlbgenTrust]::Any
        $response = $request.GetResponse()
    }
    catch [Net.WebException] { $response = $_.Exception.Response }
    if ($null -ne $response) {
        $answer.Status = [int] $response.StatusCode
        $answer.Location = [string] $response.Headers['Location']
        $response.Close()
    }
    return $answer
}

function Assert-NoRedirect {
    param([hashtable] $Answer, [string] $Url)
    if ($Answer.Status -ge 301 -and $Answer.Status -le 308 -and $Answer.Location -like 'https:*' -and $Url -like 'http:*') {
        throw "$Url answers $($Answer.Status): IIS redirects http to https, and the balancer of this farm sends http. Disable the rewrite rule first, as RUNBOOK.md describes."
    }
}

function Wait-Status {
    param([string] $Url, [string] $HostName)
    $last = 'nothing'
    for ($attempt = 1; $attempt -le 60; $attempt++) {
        $answer = Get-Answer $Url $HostName
        if ($answer.Status -eq 200) { return }
        Assert-NoRedirect $answer $Url
        if ($answer.Status -ne 0) { $last = "$($answer.Status)" }
        Write-Verbose "$Url answers $($answer.Status); trying again"
        Start-Sleep -Seconds 5
    }
    throw "$Url answers $last and not 200 after 5 minutes."
}

# The certificate has the farm's name and not localhost: the requests of this script accept any certificate.
if (-not ('NlbgenTrust' -as [type])) {
    Add-Type -TypeDefinition @'
public static class NlbgenTrust
{
    public static System.Net.Security.RemoteCertificateValidationCallback Any = delegate { return true; };
}
'@
}
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12

# Everything that can fail without the site comes before the stop.
Assert-Elevated
Assert-OwnMachine
Import-Module WebAdministration
$ConfigPath = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($ConfigPath)
if (-not (Test-Path -LiteralPath $ConfigPath -PathType Leaf)) { throw "$ConfigPath does not exist: give -ConfigPath." }
$KeysFile = $null
if ($KeysFrom) {
    $KeysFrom = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($KeysFrom)
    $KeysFile = Read-Config $KeysFrom
}
$site = Get-Website | Where-Object { $_.Name -eq $SiteName }
if ($null -eq $site) { throw "IIS has no site $SiteName`: give -SiteName." }
if ($SiteId -ne 0 -and $site.id -ne $SiteId) {
    Write-Warning "The site has the id $($site.id) here and $SiteId on the first node: the nodes would not share sessions. Give it the same id in IIS Manager (Advanced Settings)."
}
Write-Host "Site $SiteName has the id $($site.id); it must be the same on every node."
$pool = $site.applicationPool
$poolPath = "IIS:\AppPools\$pool"
$sitePath = "IIS:\Sites\$SiteName"
foreach ($path in $poolPath, $sitePath) {
    if (-not (Test-Path -LiteralPath $path)) { throw "IIS has no $path`: repair it in IIS Manager, then run this script again. Nothing was changed." }
}

$file = Read-Config $ConfigPath
$farmKeyHere = Test-FarmKey $file
# A node with the farm's keys that runs serves the farm; another one must not run with its own keys.
$served = $farmKeyHere -and (Test-NodeStarted $pool)
Write-Host "Settings to change in $ConfigPath`:"
$changes = Set-FarmSetting $file
Write-Host "$changes settings to change."
if ((Set-FarmSetting $file) -ne 0) { throw "The edited text of $ConfigPath does not hold the settings. Nothing was changed." }

# Only a prepared node may run. A new node was stopped after its installation; it stays stopped until its file is correct.
$prepared = $changes -eq 0
$backup = ''
if (-not $prepared -and $PSCmdlet.ShouldProcess($ConfigPath, "change $changes settings, with site $SiteName stopped")) {
    $scratch = "$ConfigPath.nlbgen.tmp"
    $started = $false
    try {
        Write-Scratch $file $scratch
        $backup = Get-BackupName $ConfigPath
        Stop-Node $pool
        if (-not (Test-SameBytes $ConfigPath $file.Bytes)) { throw "$ConfigPath was changed while this script ran: run it again." }
        # Replace the file in one step, keep its access rules, and keep the old file as the backup.
        [IO.File]::Replace($scratch, $ConfigPath, $backup)
        $prepared = $true
        Write-Host "The old file is $backup"
        Start-Node $pool
        $started = $true
    }
    finally {
        if (-not $started) { Restore-Node $pool $prepared $served }
        Remove-Scratch $scratch
    }
}
elseif ($prepared -and -not (Test-NodeStarted $pool) -and $PSCmdlet.ShouldProcess($SiteName, 'start')) { Start-Node $pool }

# The node runs now. What follows makes its starts faster and sure; a failure here does not stop it.
$failed = @()
$comfort = @(
    @{
        # By default an app pool stops after 20 idle minutes, and the next requests wait for its start.
        What = 'set startMode AlwaysRunning'
        Done = { (Get-ItemProperty -LiteralPath $poolPath -Name startMode) -eq 'AlwaysRunning' }
        Run = { Set-ItemProperty -LiteralPath $poolPath -Name startMode -Value 'AlwaysRunning' }
    }
    @{
        What = 'set idleTimeout 0'
        Done = { (Get-ItemProperty -LiteralPath $poolPath -Name processModel.idleTimeout).Value -eq [TimeSpan]::Zero }
        Run = { Set-ItemProperty -LiteralPath $poolPath -Name processModel.idleTimeout -Value ([TimeSpan]::Zero) }
    }
    @{
        # The runbook disabled the automatic start of a new node, so that it did not run with its own keys.
        What = 'let the site start with Windows'
        Done = { [bool] $site.serverAutoStart }
        Run = { Set-ItemProperty -LiteralPath $sitePath -Name serverAutoStart -Value $true }
    }
    @{
        What = 'let the app pool start with Windows'
        Done = { [bool] (Get-Item -LiteralPath $poolPath).autoStart }
        Run = { Set-ItemProperty -LiteralPath $poolPath -Name autoStart -Value $true }
    }
)
if ($null -ne $AppPoolCredential) {
    $comfort += @{
        What = "run as $($AppPoolCredential.UserName)"
        Done = {
            $account = Get-ItemProperty -LiteralPath $poolPath -Name processModel
            @('SpecificUser', '3') -contains "$($account.identityType)" -and $account.userName -eq $AppPoolCredential.UserName -and
                $account.password -ceq $AppPoolCredential.GetNetworkCredential().Password
        }
        Run = {
            Set-ItemProperty -LiteralPath $poolPath -Name processModel -Value @{
                identityType = 'SpecificUser'
                userName = $AppPoolCredential.UserName
                password = $AppPoolCredential.GetNetworkCredential().Password
            }
            if ((Get-WebAppPoolState -Name $pool).Value -eq 'Started') { Restart-WebAppPool -Name $pool }
        }
    }
}
if ($prepared -or $WhatIfPreference) {
    foreach ($step in $comfort) {
        try {
            if (-not (& $step.Done) -and $PSCmdlet.ShouldProcess($pool, $step.What)) { & $step.Run }
        }
        catch {
            $failed += $step.What
            Write-Warning "Could not $($step.What) ($pool): $($_.Exception.GetBaseException().Message)"
        }
    }
}
else { Write-Warning "Nothing was changed. $SiteName keeps its state: a new node must not run with its own keys." }

if ($prepared -and -not $SkipStatusCheck -and -not $WhatIfPreference) {
    try { Wait-Status 'https://localhost:443/api/status' 'orchestrator.corp.example' }
    catch {
        $problem = $_.Exception.Message
        if (-not $backup) { throw "$problem $SiteName runs with a config file that this run did not change." }
        $rollback = "$(Get-StopCommand $pool); Copy-Item -LiteralPath $(ConvertTo-Quoted $backup) -Destination $(ConvertTo-Quoted $ConfigPath)"
        if (-not $served) { throw "$problem $SiteName runs with the farm's keys. To go back: $rollback" }
        if ($NoRollback) { throw "$problem To go back: $rollback; $(Get-StartCommand $pool)" }
        $scratch = "$ConfigPath.nlbgen.tmp"
        $tried = [regex]::Replace($backup, '\.bak$', '.failed.bak')
        $restored = $false
        try {
            [IO.File]::Copy($backup, $scratch, $true)
            Stop-Node $pool
            [IO.File]::Replace($scratch, $ConfigPath, $tried)
            Start-Node $pool
            $restored = $true
        }
        finally {
            if (-not $restored) { Write-Warning "The rollback failed. Run: $rollback; $(Get-StartCommand $pool)" }
            Remove-Scratch $scratch
        }
        throw "$problem The old config file is back, and $SiteName runs as before. The new file is $tried."
    }
    Write-Host 'orch--2 answers: the node is ready.'
}
if ($failed.Count -gt 0) { throw "$Node is prepared, but this is not done: $($failed -join '; '). Solve the problem, then run this script again." }
